/* Which processes are on a GPU or on a MIG device. */
#include "nvml_call.h"

static bool is_on(const struct process *process, const struct call *call) {
    return !call->mig || (process->gpu_instance == call->mig->gpu_instance &&
                          process->compute_instance == call->mig->compute_instance);
}

/* `count` comes with the room there is and goes with the number of processes there are. */
static nvmlReturn_t list(const struct call *call, char kind, unsigned *count,
                         nvmlProcessInfo_t *infos) {
    unsigned room = *count, found = 0;
    for (unsigned i = 0; i < call->gpu->process_count; i++) {
        const struct process *p = &call->gpu->processes[i];
        if (p->kind != kind || !is_on(p, call))
            continue;
        if (infos && found < room)
            infos[found] = (nvmlProcessInfo_t){p->pid, p->bytes, p->gpu_instance,
                                               p->compute_instance};
        found++;
    }
    *count = found;
    if (found > room)
        return INSUFFICIENT_SIZE;
    return found && !infos ? INVALID_ARGUMENT : SUCCESS;
}

#define LIST_OF_PROCESSES(function, kind)                                                          \
    nvmlReturn_t function(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *infos) {        \
        struct call call = begin_device(__func__, device, GPU_OR_MIG);                             \
        if (!call.code)                                                                            \
            call.code = list(&call, kind, count, infos);                                           \
        return finish(&call);                                                                      \
    }

LIST_OF_PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, 'c')
LIST_OF_PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, 'c')
LIST_OF_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, 'g')
LIST_OF_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, 'g')
LIST_OF_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, 'm')
LIST_OF_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2, 'm')
