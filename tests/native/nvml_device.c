/* What one GPU measures of itself. Most calls are one number that the state has or has not. */
#include "nvml_call.h"

#include <math.h>

/* A call that gives one number of a whole GPU. */
#define NUMBER_OF_GPU(function, member)                                                            \
    nvmlReturn_t function(nvmlDevice_t device, unsigned *value) {                                  \
        struct call call = begin_device(__func__, device, GPU_ONLY);                               \
        return finish_with_number(&call, call.code ? (struct maybe){0} : call.gpu->member, value); \
    }

NUMBER_OF_GPU(nvmlDeviceGetMinorNumber, minor)
NUMBER_OF_GPU(nvmlDeviceGetArchitecture, architecture)
NUMBER_OF_GPU(nvmlDeviceGetVirtualizationMode, virtualization)
NUMBER_OF_GPU(nvmlDeviceGetPersistenceMode, persistence)
NUMBER_OF_GPU(nvmlDeviceGetPowerUsage, power_mw)
NUMBER_OF_GPU(nvmlDeviceGetEnforcedPowerLimit, enforced_limit_mw)
NUMBER_OF_GPU(nvmlDeviceGetPowerManagementLimit, limit_mw)
NUMBER_OF_GPU(nvmlDeviceGetPowerManagementDefaultLimit, default_limit_mw)

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned *low,
                                                          unsigned *high) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && !(call.gpu->min_limit_mw.given && call.gpu->max_limit_mw.given))
        call.code = NOT_SUPPORTED;
    if (!call.code) {
        *low = (unsigned)call.gpu->min_limit_mw.value;
        *high = (unsigned)call.gpu->max_limit_mw.value;
    }
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && !call.gpu->has_energy)
        call.code = NOT_SUPPORTED;
    if (!call.code)
        *energy = (unsigned long long)floor(value_of(&call.gpu->energy_mj) + 1e-6);
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && (in_mig_mode(call.gpu) || !call.gpu->utilization.given))
        call.code = NOT_SUPPORTED;
    if (!call.code) {
        rates->gpu = (unsigned)call.gpu->utilization.value;
        rates->memory = (unsigned)call.gpu->memory_utilization.value;
    }
    return finish(&call);
}

/* Of the GPU or of the MIG device; `used` is without what the driver reserves. */
static nvmlReturn_t read_memory(const struct call *call, nvmlMemory_v2_t *memory) {
    if (!call->gpu->memory_total.given)
        return NOT_SUPPORTED;
    if (call->mig) {
        memory->total = call->mig->memory_mib << 20;
        memory->used = call->mig->used_bytes;
        memory->reserved = 0;
    } else {
        memory->total = (uint64_t)call->gpu->memory_total.value;
        memory->used = (uint64_t)call->gpu->memory_used.value;
        memory->reserved = (uint64_t)call->gpu->memory_reserved.value;
    }
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    struct call call = begin_device(__func__, device, GPU_OR_MIG);
    nvmlMemory_v2_t found = {0};
    if (!call.code)
        call.code = read_memory(&call, &found);
    if (!call.code)
        *memory = (nvmlMemory_t){found.total, found.free, found.used + found.reserved};
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    struct call call = begin_device(__func__, device, GPU_OR_MIG);
    if (!call.code && memory->version != MEMORY_V2)
        call.code = VERSION_MISMATCH;
    if (!call.code)
        call.code = read_memory(&call, memory);
    return finish(&call);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned type, unsigned *mhz) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    struct maybe found = {0};
    if (!call.code && type > 3)
        call.code = INVALID_ARGUMENT;
    if (!call.code)
        found = type == 0   ? call.gpu->graphics_mhz
                : type == 1 ? call.gpu->sm_mhz
                : type == 2 ? call.gpu->memory_mhz
                            : call.gpu->video_mhz;
    return finish_with_number(&call, found, mhz);
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *degrees) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && sensor)
        call.code = INVALID_ARGUMENT;
    struct maybe found = call.code ? (struct maybe){0} : call.gpu->temperature;
    return finish_with_number(&call, found, degrees);
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    if (!call.code && temperature->version != TEMPERATURE_V1)
        call.code = VERSION_MISMATCH;
    struct maybe found = call.code ? (struct maybe){0} : call.gpu->temperature;
    return finish_with_number(&call, found, (unsigned *)&temperature->degrees);
}

static nvmlReturn_t finish_with_reasons(struct call *call, unsigned long long *reasons) {
    unsigned found = 0;
    struct maybe given = call->code ? (struct maybe){0} : call->gpu->reasons;
    nvmlReturn_t code = finish_with_number(call, given, &found);
    if (!code)
        *reasons = found;
    return code;
}

nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device,
                                                    unsigned long long *reasons) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    return finish_with_reasons(&call, reasons);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                                       unsigned long long *reasons) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    return finish_with_reasons(&call, reasons);
}

nvmlReturn_t nvmlDeviceGetC2cModeInfoV(nvmlDevice_t device, nvmlC2cModeInfo_t *info) {
    struct call call = begin_device(__func__, device, GPU_ONLY);
    struct maybe found = call.code ? (struct maybe){0} : call.gpu->c2c;
    return finish_with_number(&call, found, &info->enabled);
}
