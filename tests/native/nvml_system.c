/* The library itself, the driver, and how devices are found and told apart. */
#include "nvml_call.h"

#include <stdio.h>
#include <string.h>

nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    struct call call = begin_call(__func__);
    enter(&call, "", "");
    if (!call.code && !state())
        call.code = DRIVER_NOT_LOADED;
    if (!call.code)
        start_session();
    return finish(&call);
}

nvmlReturn_t nvmlShutdown(void) {
    struct call call = begin_call(__func__);
    enter(&call, "", "");
    if (!call.code)
        call.code = end_session();
    return finish(&call);
}

const char *nvmlErrorString(nvmlReturn_t code) {
    static const char *const texts[] = {
        [SUCCESS] = "Success",
        [UNINITIALIZED] = "Uninitialized",
        [INVALID_ARGUMENT] = "Invalid Argument",
        [NOT_SUPPORTED] = "Not Supported",
        [NO_PERMISSION] = "Insufficient Permissions",
        [NOT_FOUND] = "Not Found",
        [INSUFFICIENT_SIZE] = "Insufficient Size",
        [DRIVER_NOT_LOADED] = "Driver Not Loaded",
        [TIMED_OUT] = "Timeout",
        [13] = "Function Not Found",
        [15] = "GPU is lost",
        [18] = "Driver/library version mismatch",
        [OUT_OF_MEMORY] = "Insufficient Memory",
        [VERSION_MISMATCH] = "Argument version mismatch",
    };
    bool known = code >= 0 && (size_t)code < sizeof texts / sizeof *texts && texts[code];
    return known ? texts[code] : "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *into, unsigned size) {
    struct call call = begin_system(__func__);
    return finish_with_text(&call, call.code ? "" : state()->driver, into, size);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    struct call call = begin_system(__func__);
    struct maybe cuda = call.code ? (struct maybe){0} : state()->cuda;
    return finish_with_number(&call, cuda, (unsigned *)version);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    struct call call = begin_system(__func__);
    if (!call.code)
        *count = state()->gpu_count;
    return finish(&call);
}

/* Finish a call that asked for the handle of a device, which faults may concern. */
static nvmlReturn_t finish_with_handle(struct call *call, const struct gpu *gpu,
                                       const struct mig *mig, nvmlReturn_t if_none,
                                       nvmlDevice_t *device) {
    if (!is_initialised())
        call->code = UNINITIALIZED;
    else if (!call->code && !gpu)
        call->code = if_none;
    if (!call->code && !(*device = handle_of(gpu, mig)))
        call->code = OUT_OF_MEMORY;
    return finish(call);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    struct call call = begin_call(__func__);
    const struct gpu *gpu = gpu_at(index);
    enter(&call, gpu ? gpu->uuid : "", "");
    return finish_with_handle(&call, gpu_at(index), NULL, INVALID_ARGUMENT, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    struct call call = begin_call(__func__);
    const struct gpu *gpu = gpu_on_bus(bus_id);
    enter(&call, gpu ? gpu->uuid : "", "");
    return finish_with_handle(&call, gpu_on_bus(bus_id), NULL, NOT_FOUND, device);
}

static struct gpu *gpu_of_mig(const char *uuid) {
    for (unsigned i = 0; gpu_at(i); i++)
        if (in_mig_mode(gpu_at(i)) && mig_with(gpu_at(i), uuid))
            return gpu_at(i);
    return NULL;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    struct call call = begin_call(__func__);
    const struct gpu *parent = gpu_of_mig(uuid);
    enter(&call, parent || gpu_with(uuid) ? uuid : "", parent ? parent->uuid : "");
    struct gpu *gpu = gpu_of_mig(uuid); /* again: the state may be another one now */
    const struct mig *mig = gpu ? mig_with(gpu, uuid) : NULL;
    return finish_with_handle(&call, gpu ? gpu : gpu_with(uuid), mig, NOT_FOUND, device);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *into, unsigned size) {
    struct call call = begin_device(__func__, device, GPU_OR_MIG);
    const char *uuid = call.code ? "" : call.mig ? call.mig->uuid : call.gpu->uuid;
    return finish_with_text(&call, uuid, into, size);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *into, unsigned size) {
    struct call call = begin_device(__func__, device, GPU_OR_MIG);
    char name[2 * ID_SIZE] = "";
    if (!call.code)
        snprintf(name, sizeof name, "%s%s%s", call.gpu->name, call.mig ? " MIG " : "",
                 call.mig ? call.mig->profile : "");
    return finish_with_text(&call, name, into, size);
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *into, unsigned size) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    return finish_with_text(&call, call.code ? "" : call.gpu->serial, into, size);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *info) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code) {
        memset(info, 0, sizeof *info);
        snprintf(info->bus_id, sizeof info->bus_id, "%s", call.gpu->bus_id);
        snprintf(info->bus_id_legacy, sizeof info->bus_id_legacy, "%.12s", call.gpu->bus_id + 4);
        sscanf(call.gpu->bus_id, "%x:%x:%x", &info->domain, &info->bus, &info->device);
        info->pci_device = (unsigned)call.gpu->pci_device.value;
    }
    return finish(&call);
}
