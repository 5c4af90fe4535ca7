/* The state file: one `key value ...` on each line, `gpu UUID` begins a GPU, `end` ends the file
 * (so that half a file is not taken for a whole one). */
#include "nvml_abi.h"
#include "nvml_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER(name) {#name, offsetof(struct gpu, name)}

static const struct {
    const char *key;
    size_t offset;
} NUMBERS[] = {
    NUMBER(minor),
    NUMBER(pci_device),
    NUMBER(architecture),
    NUMBER(virtualization),
    NUMBER(persistence),
    NUMBER(c2c),
    NUMBER(power_mw),
    NUMBER(instant_power_mw),
    NUMBER(module_power_mw),
    NUMBER(power_fields),
    NUMBER(limit_mw),
    NUMBER(default_limit_mw),
    NUMBER(enforced_limit_mw),
    NUMBER(min_limit_mw),
    NUMBER(max_limit_mw),
    NUMBER(utilization),
    NUMBER(memory_utilization),
    NUMBER(temperature),
    NUMBER(memory_temperature),
    NUMBER(reasons),
    NUMBER(memory_total),
    NUMBER(memory_reserved),
    NUMBER(memory_used),
    NUMBER(graphics_mhz),
    NUMBER(sm_mhz),
    NUMBER(memory_mhz),
    NUMBER(video_mhz),
    NUMBER(gpm),
    NUMBER(mig_mode),
    NUMBER(mig_pending),
    NUMBER(mig_max),
    NUMBER(mig_empty_code),
    NUMBER(process_samples),
    NUMBER(no_samples_is_success),
};

static bool parse_number(const char *value, struct maybe *number) {
    char *end = NULL;
    number->value = strtoll(value, &end, 10);
    number->given = end != value && *end == '\0';
    return number->given;
}

static bool copy_text(const char *value, char *into, size_t size) {
    return (size_t)snprintf(into, size, "%s", value) < size;
}

static bool parse_process(const char *value, struct gpu *gpu) {
    if (gpu->process_count == MAX_PROCESSES)
        return false;
    struct process *p = &gpu->processes[gpu->process_count++];
    return sscanf(value, "%c %u %llu %u %u", &p->kind, &p->pid, &p->bytes, &p->gpu_instance,
                  &p->compute_instance) == 5;
}

static bool parse_sample(const char *value, struct gpu *gpu) {
    if (gpu->sample_count == MAX_SAMPLES)
        return false;
    struct sample *s = &gpu->samples[gpu->sample_count++];
    return sscanf(value, "%u %u %u %u %u %lf", &s->pid, &s->sm, &s->memory, &s->encoder,
                  &s->decoder, &s->at) == 6;
}

static bool parse_busy(const char *value, struct gpu *gpu) {
    if (gpu->busy_count == MAX_BUSY)
        return false;
    struct busy *b = &gpu->busy[gpu->busy_count++];
    return sscanf(value, "%u %u %u %lf %lf", &b->pid, &b->sm, &b->memory, &b->from, &b->to) == 5;
}

static bool parse_mig(const char *value, struct gpu *gpu) {
    if (gpu->mig_count == MAX_MIG)
        return false;
    struct mig *m = &gpu->migs[gpu->mig_count++];
    return sscanf(value, "%u %u %u %u %u %u %u %llu %llu %95s %31s", &m->slot, &m->gpu_instance,
                  &m->compute_instance, &m->incarnation, &m->multiprocessors, &m->gpu_slices,
                  &m->compute_slices, &m->memory_mib, &m->used_bytes, m->uuid, m->profile) == 11;
}

static bool parse_field(const char *value, struct gpu *gpu) {
    if (gpu->field_count == MAX_FIELDS)
        return false;
    struct field *f = &gpu->fields[gpu->field_count++];
    return sscanf(value, "%u %d %lf %lf %lf", &f->id, &f->code, &f->counter.base, &f->counter.at,
                  &f->counter.rate) == 5;
}

static bool parse_metric(const char *value, struct gpu *gpu) {
    if (gpu->metric_count == MAX_METRICS)
        return false;
    struct metric *m = &gpu->metrics[gpu->metric_count++];
    return sscanf(value, "%u %u %d %lf %lf %lf", &m->id, &m->gpu_instance, &m->code,
                  &m->integral.base, &m->integral.at, &m->integral.rate) == 6;
}

static bool parse_energy(const char *value, struct gpu *gpu) {
    struct rising *e = &gpu->energy_mj;
    gpu->has_energy = sscanf(value, "%lf %lf %lf", &e->base, &e->at, &e->rate) == 3;
    return gpu->has_energy;
}

static const struct {
    const char *key;
    bool (*parse)(const char *value, struct gpu *gpu);
} PARTS[] = {
    {"process", parse_process}, {"sample", parse_sample}, {"busy", parse_busy},
    {"mig", parse_mig},         {"field", parse_field},   {"metric", parse_metric},
    {"energy", parse_energy},
};

static bool parse_of_gpu(const char *key, const char *value, struct gpu *gpu) {
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        if (!strcmp(key, PARTS[i].key))
            return PARTS[i].parse(value, gpu);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (!strcmp(key, NUMBERS[i].key))
            return parse_number(value, (struct maybe *)((char *)gpu + NUMBERS[i].offset));
    if (!strcmp(key, "name"))
        return copy_text(value, gpu->name, sizeof gpu->name);
    if (!strcmp(key, "serial"))
        return copy_text(value, gpu->serial, sizeof gpu->serial);
    if (!strcmp(key, "bus_id"))
        return copy_text(value, gpu->bus_id, sizeof gpu->bus_id);
    return false;
}

/* `error CALL[@UUID] CODE FROM UNTIL`; `hang ... SECONDS`; `slow ... MILLISECONDS`. */
static bool parse_fault(enum fault_kind kind, const char *value, struct state *state) {
    if (state->fault_count == MAX_FAULTS)
        return false;
    struct fault *fault = &state->faults[state->fault_count++];
    char target[2 * ID_SIZE];
    fault->kind = kind;
    if (sscanf(value, "%191s %lf %llu %llu", target, &fault->amount, &fault->from,
               &fault->until) != 4)
        return false;
    char *at = strchr(target, '@');
    if (at)
        *at = '\0';
    return copy_text(target, fault->call, sizeof fault->call) &&
           copy_text(at ? at + 1 : "", fault->uuid, sizeof fault->uuid);
}

static bool parse_event(const char *value, struct state *state) {
    if (state->event_count == MAX_EVENTS)
        return false;
    struct event *event = &state->events[state->event_count++];
    return sscanf(value, "%llu %95s %llu %llu", &event->number, event->uuid, &event->type,
                  &event->data) == 4;
}

static bool parse_gpu(const char *uuid, struct state *state) {
    if (state->gpu_count == MAX_GPUS)
        return false;
    return copy_text(uuid, state->gpus[state->gpu_count++].uuid, ID_SIZE);
}

static bool parse_line(char *line, struct state *state) {
    char *space = strchr(line, ' ');
    const char *value = space ? space + 1 : "";
    if (space)
        *space = '\0';
    if (!strcmp(line, "gpu"))
        return parse_gpu(value, state);
    if (!strcmp(line, "driver"))
        return copy_text(value, state->driver, sizeof state->driver);
    if (!strcmp(line, "cuda"))
        return parse_number(value, &state->cuda);
    if (!strcmp(line, "clock"))
        return state->has_clock = sscanf(value, "%lf", &state->clock) == 1;
    if (!strcmp(line, "offset"))
        return sscanf(value, "%lf", &state->offset) == 1;
    if (!strcmp(line, "error"))
        return parse_fault(FAULT_ERROR, value, state);
    if (!strcmp(line, "hang"))
        return parse_fault(FAULT_HANG, value, state);
    if (!strcmp(line, "slow"))
        return parse_fault(FAULT_SLOW, value, state);
    if (!strcmp(line, "event"))
        return parse_event(value, state);
    return state->gpu_count && parse_of_gpu(line, value, &state->gpus[state->gpu_count - 1]);
}

bool parse_state(char *text, struct state *state) {
    memset(state, 0, sizeof *state);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (!strcmp(line, "end"))
            return true;
        if (*line && !parse_line(line, state))
            return false;
    }
    return false;
}
