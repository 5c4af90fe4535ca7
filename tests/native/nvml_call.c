#include "nvml_call.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_HANDLES 4096
#define GLANCE_SECONDS 0.02 /* how often a hanging call looks whether it still has to hang */

/* Handles name a device; they do not point at it, because the state may be replaced. */
struct handle {
    char uuid[ID_SIZE], parent[ID_SIZE]; /* no parent: a whole GPU */
    unsigned incarnation, session;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle handles[MAX_HANDLES];
static unsigned handle_count, session, references;

struct call begin_call(const char *name) {
    pthread_mutex_lock(&lock);
    refresh_state();
    return (struct call){.name = name};
}

nvmlReturn_t finish(struct call *call) {
    pthread_mutex_unlock(&lock);
    return call->code;
}

bool is_initialised(void) {
    return references > 0;
}

static void publish_references(void) {
    counts()->pid = getpid();
    counts()->references = references;
}

void start_session(void) {
    if (references++ == 0)
        session++;
    __atomic_add_fetch(&counts()->inits, 1, __ATOMIC_SEQ_CST);
    publish_references();
}

nvmlReturn_t end_session(void) {
    if (!references)
        return UNINITIALIZED;
    references--;
    __atomic_add_fetch(&counts()->shutdowns, 1, __ATOMIC_SEQ_CST);
    publish_references();
    return SUCCESS;
}

void pause_call(double seconds) {
    struct timespec length = {.tv_sec = (time_t)seconds};
    length.tv_nsec = (long)((seconds - (double)length.tv_sec) * 1e9);
    pthread_mutex_unlock(&lock);
    nanosleep(&length, NULL);
    pthread_mutex_lock(&lock);
    refresh_state();
}

static bool concerns(const struct fault *fault, const char *call, const char *uuid,
                     const char *parent) {
    if (strcmp(fault->call, "*") && strcmp(fault->call, call))
        return false;
    if (*fault->uuid && strcmp(fault->uuid, uuid) && strcmp(fault->uuid, parent))
        return false;
    uint64_t calls = calls_so_far(call, *fault->uuid ? uuid : ALL_DEVICES);
    return calls > fault->from && calls <= fault->until;
}

static const struct fault *find_fault(enum fault_kind kind, const char *call, const char *uuid,
                                      const char *parent) {
    for (unsigned i = 0; state() && i < state()->fault_count; i++) {
        const struct fault *fault = &state()->faults[i];
        if (fault->kind == kind && concerns(fault, call, uuid, parent))
            return fault;
    }
    return NULL;
}

void enter(struct call *call, const char *uuid_in_state, const char *parent_in_state) {
    char uuid[ID_SIZE], parent[ID_SIZE];
    snprintf(uuid, sizeof uuid, "%s", uuid_in_state);
    snprintf(parent, sizeof parent, "%s", parent_in_state);
    count_call(call->name, ALL_DEVICES);
    if (*uuid)
        count_call(call->name, uuid);
    const struct fault *fault = find_fault(FAULT_SLOW, call->name, uuid, parent);
    if (fault)
        pause_call(fault->amount / 1e3);
    double start = monotonic_seconds();
    while ((fault = find_fault(FAULT_HANG, call->name, uuid, parent)) &&
           monotonic_seconds() - start < fault->amount)
        pause_call(GLANCE_SECONDS);
    fault = find_fault(FAULT_ERROR, call->name, uuid, parent);
    if (fault)
        call->code = (nvmlReturn_t)fault->amount;
}

struct call begin_system(const char *name) {
    struct call call = begin_call(name);
    enter(&call, "", "");
    if (!is_initialised() || !state())
        call.code = UNINITIALIZED;
    return call;
}

static bool is_handle(nvmlDevice_t device) {
    for (unsigned i = 0; i < handle_count; i++)
        if (device == &handles[i])
            return device->session == session;
    return false;
}

static nvmlReturn_t resolve(struct call *call, nvmlDevice_t device, enum accepts accepts) {
    bool is_mig = *device->parent;
    call->gpu = gpu_with(is_mig ? device->parent : device->uuid);
    if (!call->gpu)
        return INVALID_ARGUMENT;
    if (!is_mig)
        return SUCCESS;
    call->mig = in_mig_mode(call->gpu) ? mig_with(call->gpu, device->uuid) : NULL;
    if (!call->mig || call->mig->incarnation != device->incarnation)
        return INVALID_ARGUMENT;
    return accepts == GPU_ONLY ? NOT_SUPPORTED : SUCCESS;
}

struct call begin_device(const char *name, nvmlDevice_t device, enum accepts accepts) {
    struct call call = begin_call(name);
    bool known = is_handle(device);
    enter(&call, known ? device->uuid : "", known ? device->parent : "");
    if (!is_initialised() || !state())
        call.code = UNINITIALIZED;
    else if (!known)
        call.code = INVALID_ARGUMENT;
    else if (!call.code)
        call.code = resolve(&call, device, accepts);
    return call;
}

nvmlReturn_t finish_with_number(struct call *call, struct maybe number, unsigned *into) {
    if (!call->code && !into)
        call->code = INVALID_ARGUMENT;
    if (!call->code && !number.given)
        call->code = NOT_SUPPORTED;
    if (!call->code)
        *into = (unsigned)number.value;
    return finish(call);
}

nvmlReturn_t finish_with_text(struct call *call, const char *text, char *into, unsigned size) {
    if (!call->code && !into)
        call->code = INVALID_ARGUMENT;
    if (!call->code && !*text)
        call->code = NOT_SUPPORTED;
    if (!call->code && strlen(text) >= size)
        call->code = INSUFFICIENT_SIZE;
    if (!call->code)
        memcpy(into, text, strlen(text) + 1);
    return finish(call);
}

nvmlDevice_t handle_of(const struct gpu *gpu, const struct mig *mig) {
    struct handle wanted = {.session = session, .incarnation = mig ? mig->incarnation : 0};
    snprintf(wanted.uuid, sizeof wanted.uuid, "%s", mig ? mig->uuid : gpu->uuid);
    snprintf(wanted.parent, sizeof wanted.parent, "%s", mig ? gpu->uuid : "");
    for (unsigned i = 0; i < handle_count; i++)
        if (handles[i].session == session && handles[i].incarnation == wanted.incarnation &&
            !strcmp(handles[i].uuid, wanted.uuid))
            return &handles[i];
    if (handle_count == MAX_HANDLES)
        return NULL;
    handles[handle_count] = wanted;
    return &handles[handle_count++];
}
