/* What the pretended driver knows, as the state file says it. A thing the file does not mention
 * is a thing the GPU does not support. */
#ifndef NVML_STATE_H
#define NVML_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SIZE 96
#define MAX_GPUS 16
#define MAX_MIG 16
#define MAX_PROCESSES 256
#define MAX_SAMPLES 512
#define MAX_BUSY 64
#define MAX_FIELDS 16
#define MAX_METRICS 64
#define MAX_FAULTS 256
#define MAX_EVENTS 64

struct maybe {
    bool given;
    long long value;
};

/* A counter that moves by itself: base + (now - at) * rate. */
struct rising {
    double base, at, rate;
};

struct process {
    char kind; /* c: compute, g: graphics, m: under MPS */
    unsigned pid, gpu_instance, compute_instance;
    unsigned long long bytes;
};

/* How much one process used, at one instant (seconds of the clock). */
struct sample {
    unsigned pid, sm, memory, encoder, decoder;
    double at;
};

/* A process from which samples come by themselves between two instants. */
struct busy {
    unsigned pid, sm, memory;
    double from, to;
};

struct mig {
    unsigned slot, gpu_instance, compute_instance;
    unsigned incarnation; /* another one is another instance, even under the same UUID */
    unsigned multiprocessors, gpu_slices, compute_slices;
    unsigned long long memory_mib, used_bytes;
    char uuid[ID_SIZE], profile[32];
};

struct field {
    unsigned id;
    int code; /* not 0: this field fails with it */
    struct rising counter;
};

struct metric {
    unsigned id, gpu_instance; /* NOT_IN_MIG: of the whole GPU */
    int code;
    struct rising integral; /* of the percentage, over time */
};

struct gpu {
    char uuid[ID_SIZE], name[ID_SIZE], serial[32], bus_id[32];
    struct maybe minor, pci_device, architecture, virtualization, persistence, c2c;
    struct maybe power_mw, instant_power_mw, module_power_mw, power_fields;
    struct maybe limit_mw, default_limit_mw, enforced_limit_mw, min_limit_mw, max_limit_mw;
    struct maybe utilization, memory_utilization, temperature, memory_temperature, reasons;
    struct maybe memory_total, memory_reserved, memory_used;
    struct maybe graphics_mhz, sm_mhz, memory_mhz, video_mhz;
    struct maybe gpm, mig_mode, mig_pending, mig_max, mig_empty_code;
    struct maybe process_samples, no_samples_is_success;
    bool has_energy;
    struct rising energy_mj;
    struct process processes[MAX_PROCESSES];
    struct sample samples[MAX_SAMPLES];
    struct busy busy[MAX_BUSY];
    struct mig migs[MAX_MIG];
    struct field fields[MAX_FIELDS];
    struct metric metrics[MAX_METRICS];
    unsigned process_count, sample_count, busy_count, mig_count, field_count, metric_count;
};

enum fault_kind { FAULT_ERROR, FAULT_HANG, FAULT_SLOW };

/* What goes wrong with a call ("*": with all), on one device ("": on all). */
struct fault {
    enum fault_kind kind;
    char call[ID_SIZE], uuid[ID_SIZE];
    double amount;                  /* a return code, seconds, or milliseconds */
    unsigned long long from, until; /* of the calls of this name, those after `from`, to `until` */
};

struct event {
    unsigned long long number, type, data; /* numbers rise */
    char uuid[ID_SIZE];
};

struct state {
    char driver[80];
    struct maybe cuda;
    bool has_clock;
    double clock;  /* seconds; without it CLOCK_MONOTONIC counts */
    double offset; /* seconds from the clock to the time of day */
    struct gpu gpus[MAX_GPUS];
    struct fault faults[MAX_FAULTS];
    struct event events[MAX_EVENTS];
    unsigned gpu_count, fault_count, event_count;
};

/* Fill `state` from text. False for a text that is not whole or not understood. */
bool parse_state(char *text, struct state *state);

/* Read the file again if it is another one than last time. What cannot be used is left alone. */
void refresh_state(void);

/* The last usable state; NULL before the first one. To be used under the lock of nvml_call.h. */
struct state *state(void);

double now_seconds(void);
uint64_t timestamp_at(double seconds); /* microseconds since 1970, as NVML gives them */
double value_of(const struct rising *counter);
double monotonic_seconds(void);

struct gpu *gpu_at(unsigned index);
struct gpu *gpu_with(const char *uuid);
struct gpu *gpu_on_bus(const char *bus_id);
struct mig *mig_with(struct gpu *gpu, const char *uuid);
bool in_mig_mode(const struct gpu *gpu);

#endif
