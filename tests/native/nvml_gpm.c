/* GPM, the performance metrics of Hopper and newer: two samples, and the mean between them. */
#include "nvml_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a sample remembers of one metric: its integral over time. */
struct remembered {
    unsigned id;
    int code;
    double integral;
};

struct gpm_sample {
    struct gpm_sample *next;
    char uuid[ID_SIZE];
    unsigned gpu_instance, count;
    double at; /* negative: nothing was read into it */
    struct remembered metrics[MAX_METRICS];
};

static struct gpm_sample *samples; /* all that live, so that a stale pointer is noticed */

static struct gpm_sample **place_of(nvmlGpmSample_t sample) {
    struct gpm_sample **place = &samples;
    while (*place && *place != sample)
        place = &(*place)->next;
    return *place ? place : NULL;
}

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *support) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && support->version != GPM_VERSION)
        call.code = VERSION_MISMATCH;
    if (!call.code)
        support->supported = call.gpu->gpm.given && call.gpu->gpm.value;
    return finish(&call);
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *sample) {
    struct call call = begin_system(__func__);
    if (!call.code && !(*sample = calloc(1, sizeof **sample)))
        call.code = OUT_OF_MEMORY;
    if (!call.code) {
        (*sample)->at = -1;
        (*sample)->next = samples;
        samples = *sample;
        __atomic_add_fetch(&counts()->gpm_samples, 1, __ATOMIC_SEQ_CST);
    }
    return finish(&call);
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample) {
    struct call call = begin_call(__func__);
    enter(&call, "", "");
    struct gpm_sample **place = place_of(sample);
    if (!call.code && !place)
        call.code = INVALID_ARGUMENT;
    if (!call.code) {
        *place = sample->next;
        free(sample);
        __atomic_sub_fetch(&counts()->gpm_samples, 1, __ATOMIC_SEQ_CST);
    }
    return finish(&call);
}

static bool has_instance(const struct gpu *gpu, unsigned gpu_instance) {
    for (unsigned i = 0; i < gpu->mig_count; i++)
        if (gpu->migs[i].gpu_instance == gpu_instance)
            return in_mig_mode(gpu);
    return false;
}

static nvmlReturn_t read_into(nvmlGpmSample_t sample, const struct gpu *gpu,
                              unsigned gpu_instance) {
    if (!gpu->gpm.given || !gpu->gpm.value)
        return NOT_SUPPORTED;
    if (!place_of(sample) || (gpu_instance != NOT_IN_MIG && !has_instance(gpu, gpu_instance)))
        return INVALID_ARGUMENT;
    snprintf(sample->uuid, sizeof sample->uuid, "%s", gpu->uuid);
    sample->gpu_instance = gpu_instance;
    sample->at = now_seconds();
    sample->count = 0;
    for (unsigned i = 0; i < gpu->metric_count; i++) {
        const struct metric *m = &gpu->metrics[i];
        if (m->gpu_instance == gpu_instance)
            sample->metrics[sample->count++] =
                (struct remembered){m->id, m->code, value_of(&m->integral)};
    }
    return SUCCESS;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t sample) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code)
        call.code = read_into(sample, call.gpu, NOT_IN_MIG);
    return finish(&call);
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned gpu_instance,
                                 nvmlGpmSample_t sample) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code)
        call.code = read_into(sample, call.gpu, gpu_instance);
    return finish(&call);
}

static const struct remembered *metric_in(const struct gpm_sample *sample, unsigned id) {
    for (unsigned i = 0; i < sample->count; i++)
        if (sample->metrics[i].id == id)
            return &sample->metrics[i];
    return NULL;
}

static void compare(nvmlGpmMetric_t *metric, const struct gpm_sample *first,
                    const struct gpm_sample *second) {
    const struct remembered *before = metric_in(first, metric->metric);
    const struct remembered *after = metric_in(second, metric->metric);
    metric->value = 0;
    if (!before || !after)
        metric->code = metric->metric && metric->metric < GPM_METRICS ? NOT_SUPPORTED
                                                                      : INVALID_ARGUMENT;
    else if (after->code)
        metric->code = after->code;
    else {
        metric->code = SUCCESS;
        metric->value = (after->integral - before->integral) / (second->at - first->at);
    }
    metric->short_name = metric->long_name = metric->unit = "";
}

/* Two samples of the same thing, the first one read earlier. */
static bool belong_together(const struct gpm_sample *first, const struct gpm_sample *second) {
    return first->at >= 0 && second->at > first->at && !strcmp(first->uuid, second->uuid) &&
           first->gpu_instance == second->gpu_instance;
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get) {
    struct call call = begin_system(__func__);
    if (!call.code && get->version != GPM_VERSION)
        call.code = VERSION_MISMATCH;
    if (!call.code && (!place_of(get->first) || !place_of(get->second) ||
                       get->count > GPM_METRICS || !belong_together(get->first, get->second)))
        call.code = INVALID_ARGUMENT;
    for (unsigned i = 0; !call.code && i < get->count; i++)
        compare(&get->metrics[i], get->first, get->second);
    return finish(&call);
}
