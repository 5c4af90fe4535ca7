/* Events, Xid errors above all. Waiting really waits, whatever clock the state has. */
#include "nvml_call.h"

#include <stdlib.h>
#include <string.h>

#define GLANCE_SECONDS 0.02

struct registration {
    char uuid[ID_SIZE];
    unsigned long long types, delivered; /* the number of the last event that was handed out */
};

struct event_set {
    struct registration registrations[MAX_GPUS];
    unsigned count;
};

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    struct call call = begin_system(__func__);
    if (!call.code && !(*set = calloc(1, sizeof **set)))
        call.code = OUT_OF_MEMORY;
    if (!call.code)
        __atomic_add_fetch(&counts()->event_sets, 1, __ATOMIC_SEQ_CST);
    return finish(&call);
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    struct call call = begin_system(__func__);
    if (!call.code) {
        free(set);
        __atomic_sub_fetch(&counts()->event_sets, 1, __ATOMIC_SEQ_CST);
    }
    return finish(&call);
}

/* What happened before it was asked for is not told. */
static unsigned long long last_event(void) {
    unsigned count = state()->event_count;
    return count ? state()->events[count - 1].number : 0;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                      nvmlEventSet_t set) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && set->count == MAX_GPUS)
        call.code = OUT_OF_MEMORY;
    if (!call.code) {
        struct registration *added = &set->registrations[set->count++];
        memcpy(added->uuid, call.gpu->uuid, sizeof added->uuid);
        added->types = types;
        added->delivered = last_event();
    }
    return finish(&call);
}

static bool take_event(nvmlEventSet_t set, nvmlEventData_t *data) {
    for (unsigned i = 0; state() && i < state()->event_count; i++) {
        const struct event *event = &state()->events[i];
        for (unsigned j = 0; j < set->count; j++) {
            struct registration *to = &set->registrations[j];
            struct gpu *gpu = gpu_with(event->uuid);
            if (!gpu || strcmp(to->uuid, event->uuid) || !(to->types & event->type) ||
                event->number <= to->delivered)
                continue;
            to->delivered = event->number;
            *data = (nvmlEventData_t){handle_of(gpu, NULL), event->type, event->data, NOT_IN_MIG,
                                      NOT_IN_MIG};
            return true;
        }
    }
    return false;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
                                 unsigned milliseconds) {
    struct call call = begin_system(__func__);
    double deadline = monotonic_seconds() + milliseconds / 1e3;
    while (!call.code && !take_event(set, data)) {
        if (monotonic_seconds() >= deadline)
            call.code = TIMED_OUT;
        else
            pause_call(GLANCE_SECONDS);
    }
    return finish(&call);
}
