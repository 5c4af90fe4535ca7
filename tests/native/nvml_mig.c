/* A GPU cut into instances. Slots may be empty between two that are not. */
#include "nvml_call.h"

#define DEFAULT_EMPTY_CODE NOT_FOUND

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && !call.gpu->mig_mode.given)
        call.code = NOT_SUPPORTED;
    if (!call.code) {
        *current = (unsigned)call.gpu->mig_mode.value;
        *pending = (unsigned)call.gpu->mig_pending.value;
    }
    return finish(&call);
}

/* "Returns zero if MIG is not supported or enabled", says NVML's documentation. */
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code)
        *count = in_mig_mode(call.gpu) ? (unsigned)call.gpu->mig_max.value : 0;
    return finish(&call);
}

static const struct mig *mig_in_slot(const struct gpu *gpu, unsigned slot) {
    for (unsigned i = 0; i < gpu->mig_count; i++)
        if (gpu->migs[i].slot == slot)
            return &gpu->migs[i];
    return NULL;
}

static nvmlReturn_t find_in_slot(const struct gpu *gpu, unsigned slot, nvmlDevice_t *mig_device) {
    if (!gpu->mig_mode.given)
        return NOT_SUPPORTED;
    if (!in_mig_mode(gpu))
        return NOT_FOUND;
    if (slot >= gpu->mig_max.value)
        return INVALID_ARGUMENT;
    const struct mig *mig = mig_in_slot(gpu, slot);
    if (!mig)
        return gpu->mig_empty_code.given ? (int)gpu->mig_empty_code.value : DEFAULT_EMPTY_CODE;
    *mig_device = handle_of(gpu, mig);
    return *mig_device ? SUCCESS : OUT_OF_MEMORY;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned slot,
                                                 nvmlDevice_t *mig_device) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code)
        call.code = find_in_slot(call.gpu, slot, mig_device);
    return finish(&call);
}

/* Begin a call that only makes sense for a MIG device. */
static struct call begin_mig(const char *name, nvmlDevice_t device) {
    struct call call = begin_device(name, device, GPU_OR_MIG);
    if (!call.code && !call.mig)
        call.code = INVALID_ARGUMENT;
    return call;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig_device,
                                                          nvmlDevice_t *device) {
    struct call call = begin_mig(__func__, mig_device);
    if (!call.code)
        *device = handle_of(call.gpu, NULL);
    return finish(&call);
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig) {
    struct call call = begin_device(__func__, device, GPU_OR_MIG);
    if (!call.code)
        *is_mig = call.mig != NULL;
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t mig_device, unsigned *id) {
    struct call call = begin_mig(__func__, mig_device);
    if (!call.code)
        *id = call.mig->gpu_instance;
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t mig_device, unsigned *id) {
    struct call call = begin_mig(__func__, mig_device);
    if (!call.code)
        *id = call.mig->compute_instance;
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t mig_device,
                                        nvmlDeviceAttributes_t *attributes) {
    struct call call = begin_mig(__func__, mig_device);
    if (!call.code)
        *attributes = (nvmlDeviceAttributes_t){
            .multiprocessors = call.mig->multiprocessors,
            .copy_engines = call.mig->gpu_slices,
            .gpu_instance_slices = call.mig->gpu_slices,
            .compute_instance_slices = call.mig->compute_slices,
            .memory_mib = call.mig->memory_mib,
        };
    return finish(&call);
}
