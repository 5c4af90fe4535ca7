/* What the driver keeps of the recent past: usage of processes, and readings of the GPU. */
#include "nvml_call.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RING 100            /* the driver keeps so many and forgets the older ones */
#define PROCESS_PERIOD 0.2  /* seconds between two samples of a process */
#define READING_PERIOD 0.1  /* seconds between two readings of the GPU */
#define MAX_FOUND (MAX_SAMPLES + MAX_BUSY * (RING + 1))

static struct sample found[MAX_FOUND]; /* used under the lock */

static int by_time(const void *one, const void *other) {
    double a = ((const struct sample *)one)->at, b = ((const struct sample *)other)->at;
    return (a > b) - (a < b);
}

/* The samples that a busy process has left behind, at whole periods of the clock. */
static unsigned add_busy(const struct busy *busy, unsigned count) {
    double now = now_seconds(), until = fmin(busy->to, now);
    double first = fmax(busy->from, now - RING * PROCESS_PERIOD);
    for (double n = floor(first / PROCESS_PERIOD) + 1; n * PROCESS_PERIOD <= until + 1e-9; n++)
        if (count < MAX_FOUND)
            found[count++] = (struct sample){.pid = busy->pid,
                                             .sm = busy->sm,
                                             .memory = busy->memory,
                                             .at = n * PROCESS_PERIOD};
    return count;
}

/* Put what is newer than `last_seen` at the start of `found`, oldest first. */
static unsigned collect(const struct gpu *gpu, uint64_t last_seen) {
    unsigned count = gpu->sample_count, newer = 0;
    memcpy(found, gpu->samples, count * sizeof *found);
    for (unsigned i = 0; i < gpu->busy_count; i++)
        count = add_busy(&gpu->busy[i], count);
    qsort(found, count, sizeof *found, by_time);
    for (unsigned i = count > RING ? count - RING : 0; i < count; i++)
        if (timestamp_at(found[i].at) > last_seen)
            found[newer++] = found[i];
    return newer;
}

/* How many samples there are for a buffer of this size, or why there are none. */
static nvmlReturn_t offer(struct call *call, uint64_t last_seen, bool has_buffer,
                          unsigned *count) {
    if (in_mig_mode(call->gpu) || !call->gpu->process_samples.given)
        return NOT_SUPPORTED;
    unsigned capacity = *count;
    *count = collect(call->gpu, last_seen);
    if (!*count)
        return call->gpu->no_samples_is_success.value ? SUCCESS : NOT_FOUND;
    return !has_buffer || capacity < *count ? INSUFFICIENT_SIZE : SUCCESS;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                             nvmlProcessUtilizationSample_t *samples,
                                             unsigned *count, unsigned long long last_seen) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code)
        call.code = offer(&call, last_seen, samples != NULL, count);
    for (unsigned i = 0; !call.code && i < *count; i++) {
        const struct sample *s = &found[i];
        samples[i] = (nvmlProcessUtilizationSample_t){
            s->pid, timestamp_at(s->at), s->sm, s->memory, s->encoder, s->decoder};
    }
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
                                                   nvmlProcessesUtilizationInfo_t *info) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && info->version != PROCESSES_UTILIZATION_V1)
        call.code = VERSION_MISMATCH;
    if (!call.code)
        call.code = offer(&call, info->last_seen, info->samples != NULL, &info->count);
    for (unsigned i = 0; !call.code && i < info->count; i++) {
        const struct sample *s = &found[i];
        info->samples[i] = (nvmlProcessUtilizationInfo_t){
            timestamp_at(s->at), s->pid, s->sm, s->memory, s->encoder, s->decoder, 0, 0};
    }
    return finish(&call);
}

/* What is read again and again for this type of sample; the present value stands for all. */
static struct maybe reading_of(const struct gpu *gpu, unsigned type) {
    if (type == 0)
        return gpu->power_mw;
    if (type == 7)
        return gpu->module_power_mw;
    if (in_mig_mode(gpu) || !gpu->utilization.given)
        return (struct maybe){0};
    if (type == 1)
        return gpu->utilization;
    return type == 2 ? gpu->memory_utilization : (struct maybe){0};
}

nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, unsigned type, unsigned long long last_seen,
                                  unsigned *value_type, unsigned *count, nvmlSample_t *samples) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    struct maybe value = call.code ? (struct maybe){0} : reading_of(call.gpu, type);
    if (!call.code && !value.given)
        call.code = NOT_SUPPORTED;
    if (call.code)
        return finish(&call);
    *value_type = VALUE_UNSIGNED_INT;
    if (!samples) {
        *count = RING; /* room for the whole ring, as the driver asks for */
        return finish(&call);
    }
    unsigned capacity = *count, filled = 0;
    double newest = floor(now_seconds() / READING_PERIOD);
    for (double n = newest - RING + 1; n <= newest && filled < capacity; n++) {
        uint64_t at = timestamp_at(n * READING_PERIOD);
        if (n >= 0 && at > last_seen)
            samples[filled++] =
                (nvmlSample_t){at, {.as_unsigned_long_long = (uint64_t)value.value}};
    }
    *count = filled;
    call.code = filled ? SUCCESS : NOT_FOUND;
    return finish(&call);
}
