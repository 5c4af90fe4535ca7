/* What NVML and its callers agree on, on a 64-bit Linux: return codes, constants, and structures
 * whose sizes are checked when this is compiled. The names are NVML's where a caller sees them. */
#ifndef NVML_ABI_H
#define NVML_ABI_H

#include <stdint.h>

typedef int nvmlReturn_t;
typedef struct handle *nvmlDevice_t;
typedef struct gpm_sample *nvmlGpmSample_t;
typedef struct event_set *nvmlEventSet_t;

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NO_PERMISSION = 4,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMED_OUT = 10,
    OUT_OF_MEMORY = 20,
    VERSION_MISMATCH = 25,
};

enum { VALUE_UNSIGNED_INT = 1, VALUE_UNSIGNED_LONG_LONG = 3 };

#define NOT_IN_MIG 0xFFFFFFFFu
#define MEMORY_V2 0x2000028u
#define PROCESSES_UTILIZATION_V1 0x1000018u
#define TEMPERATURE_V1 0x100000Cu
#define GPM_VERSION 1u
#define GPM_METRICS 477 /* of the Python binding that the tests use; it grows with releases */

typedef union {
    double as_double;
    uint32_t as_unsigned;
    uint64_t as_unsigned_long_long;
} nvmlValue_t;

typedef struct {
    uint32_t gpu, memory;
} nvmlUtilization_t;

typedef struct {
    uint64_t total, free, used;
} nvmlMemory_t;

typedef struct {
    uint32_t version;
    uint64_t total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
    uint32_t pid;
    uint64_t timestamp;
    uint32_t sm, memory, encoder, decoder;
} nvmlProcessUtilizationSample_t;

typedef struct {
    uint64_t timestamp;
    uint32_t pid, sm, memory, encoder, decoder, jpeg, ofa;
} nvmlProcessUtilizationInfo_t;

typedef struct {
    uint32_t version, count;
    uint64_t last_seen;
    nvmlProcessUtilizationInfo_t *samples;
} nvmlProcessesUtilizationInfo_t;

typedef struct {
    uint32_t pid;
    uint64_t used_memory;
    uint32_t gpu_instance, compute_instance;
} nvmlProcessInfo_t; /* of the calls that end in _v2 and _v3 */

typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    uint32_t value_type;
    nvmlReturn_t code;
    nvmlValue_t value;
} nvmlFieldValue_t;

typedef struct {
    uint64_t timestamp;
    nvmlValue_t value;
} nvmlSample_t;

typedef struct {
    uint32_t multiprocessors, copy_engines, decoders, encoders, jpegs, ofas;
    uint32_t gpu_instance_slices, compute_instance_slices;
    uint64_t memory_mib;
} nvmlDeviceAttributes_t;

typedef struct {
    char bus_id_legacy[16];
    uint32_t domain, bus, device, pci_device, pci_subsystem;
    char bus_id[32];
} nvmlPciInfo_t;

typedef struct {
    uint32_t version, sensor;
    int32_t degrees;
} nvmlTemperature_t;

typedef struct {
    uint32_t enabled;
} nvmlC2cModeInfo_t;

typedef struct {
    uint32_t metric;
    nvmlReturn_t code;
    double value;
    const char *short_name, *long_name, *unit;
} nvmlGpmMetric_t;

typedef struct {
    uint32_t version, count;
    nvmlGpmSample_t first, second;
    nvmlGpmMetric_t metrics[GPM_METRICS];
} nvmlGpmMetricsGet_t;

typedef struct {
    uint32_t version, supported;
} nvmlGpmSupport_t;

typedef struct {
    nvmlDevice_t device;
    uint64_t type, data;
    uint32_t gpu_instance, compute_instance;
} nvmlEventData_t;

#define HAS_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size")
#define IS_AT(type, member, offset)                                                                \
    _Static_assert(__builtin_offsetof(type, member) == (offset), #type "." #member " is elsewhere")

HAS_SIZE(nvmlDevice_t, 8);
HAS_SIZE(nvmlUtilization_t, 8);
HAS_SIZE(nvmlMemory_t, 24);
HAS_SIZE(nvmlMemory_v2_t, 40);
HAS_SIZE(nvmlProcessUtilizationSample_t, 32);
HAS_SIZE(nvmlProcessesUtilizationInfo_t, 24);
HAS_SIZE(nvmlProcessUtilizationInfo_t, 40);
HAS_SIZE(nvmlProcessInfo_t, 24);
HAS_SIZE(nvmlFieldValue_t, 40);
HAS_SIZE(nvmlSample_t, 16);
HAS_SIZE(nvmlDeviceAttributes_t, 40);
HAS_SIZE(nvmlPciInfo_t, 68);
HAS_SIZE(nvmlTemperature_t, 12);
HAS_SIZE(nvmlGpmMetric_t, 40);
HAS_SIZE(nvmlGpmMetricsGet_t, 19104);
HAS_SIZE(nvmlGpmSupport_t, 8);
HAS_SIZE(nvmlEventData_t, 32);

IS_AT(nvmlMemory_v2_t, total, 8);
IS_AT(nvmlProcessUtilizationSample_t, sm, 16);
IS_AT(nvmlProcessUtilizationInfo_t, pid, 8);
IS_AT(nvmlProcessesUtilizationInfo_t, samples, 16);
IS_AT(nvmlProcessInfo_t, gpu_instance, 16);
IS_AT(nvmlFieldValue_t, code, 28);
IS_AT(nvmlFieldValue_t, value, 32);
IS_AT(nvmlDeviceAttributes_t, gpu_instance_slices, 24);
IS_AT(nvmlPciInfo_t, bus_id, 36);
IS_AT(nvmlGpmMetricsGet_t, metrics, 24);

#endif
