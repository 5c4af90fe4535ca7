/* What the library did, for the test to read while it happens: a mapped file of fixed layout.
 * tests/fake_nvml_counts.py reads it. */
#ifndef NVML_COUNTS_H
#define NVML_COUNTS_H

#include <stdint.h>

#define ALL_DEVICES "*"

struct counts_head {
    int64_t references; /* how often NVML is initialised just now, in the process `pid` */
    int64_t pid;
    int64_t inits, shutdowns; /* of all processes, since the file was made */
    int64_t gpm_samples;      /* allocated and not freed */
    int64_t event_sets;       /* likewise */
    int64_t rejected_states;
    int64_t lost_counts; /* calls for which the table had no room */
};

struct counts_head *counts(void);

/* Count one call and say how many there were, this one included. */
uint64_t count_call(const char *call, const char *uuid);
uint64_t calls_so_far(const char *call, const char *uuid);
void count_rejected_state(void);

#endif
