/* The table of calls: hashed, so that a call costs the same with one GPU and with sixteen. */
#include "nvml_counts.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define CAPACITY 4096

struct record {
    char call[64], uuid[56];
    uint64_t count;
};

struct table {
    struct counts_head head;
    struct record records[CAPACITY];
};

_Static_assert(sizeof(struct counts_head) == 64, "the Python side reads 64 bytes");
_Static_assert(sizeof(struct record) == 128, "the Python side reads 128 bytes");

static struct table unshared; /* where no file is given */
static struct table *mapped;
static int file = -1;

static struct table *map_file(const char *path) {
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct table)))
        return &unshared;
    void *at = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return at == MAP_FAILED ? &unshared : at;
}

static struct table *table(void) {
    if (!mapped) {
        const char *path = getenv("UNITCOST_FAKE_NVML_CALLS");
        mapped = path ? map_file(path) : &unshared;
    }
    return mapped;
}

struct counts_head *counts(void) {
    return &table()->head;
}

void count_rejected_state(void) {
    __atomic_add_fetch(&counts()->rejected_states, 1, __ATOMIC_SEQ_CST);
}

static unsigned hash_of(const char *call, const char *uuid) {
    unsigned hash = 2166136261u;
    for (const char *c = call; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (const char *c = uuid; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash % CAPACITY;
}

/* The record of these two names, or the free one where it would go; NULL if the table is full. */
static struct record *look_up(const char *call, const char *uuid) {
    unsigned start = hash_of(call, uuid);
    for (unsigned i = 0; i < CAPACITY; i++) {
        struct record *record = &table()->records[(start + i) % CAPACITY];
        if (!*record->call || (!strcmp(record->call, call) && !strcmp(record->uuid, uuid)))
            return record;
    }
    return NULL;
}

/* Another process may be adding a record to the same file: only one at a time. */
static struct record *add_record(const char *call, const char *uuid) {
    if (file >= 0)
        flock(file, LOCK_EX);
    struct record *record = look_up(call, uuid);
    if (record && !*record->call) {
        snprintf(record->uuid, sizeof record->uuid, "%s", uuid);
        snprintf(record->call, sizeof record->call, "%s", call);
    }
    if (file >= 0)
        flock(file, LOCK_UN);
    return record;
}

uint64_t count_call(const char *call, const char *uuid) {
    struct record *record = look_up(call, uuid);
    if (record && !*record->call)
        record = add_record(call, uuid);
    if (!record) {
        __atomic_add_fetch(&counts()->lost_counts, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    return __atomic_add_fetch(&record->count, 1, __ATOMIC_SEQ_CST);
}

uint64_t calls_so_far(const char *call, const char *uuid) {
    const struct record *record = look_up(call, uuid);
    return record ? record->count : 0;
}
