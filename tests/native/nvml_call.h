/* How every call begins and ends: one lock, a look at the state file, the counters, what was
 * ordered to go wrong, and the device that the handle stands for. */
#ifndef NVML_CALL_H
#define NVML_CALL_H

#include "nvml_abi.h"
#include "nvml_counts.h"
#include "nvml_state.h"

struct call {
    const char *name;
    nvmlReturn_t code;
    struct gpu *gpu; /* of a device call that has not failed */
    struct mig *mig; /* NULL: the handle is that of the whole GPU */
};

enum accepts { GPU_OR_MIG, GPU_ONLY /* a MIG handle is NotSupported */ };

/* Take the lock. Every begin needs one finish, which returns the call's code. */
struct call begin_call(const char *name);
nvmlReturn_t finish(struct call *call);

/* Count the call and let it fail, hang or be slow as ordered. Lets go of the lock meanwhile: what
 * was looked up in the state before is no longer valid. */
void enter(struct call *call, const char *uuid, const char *parent);

struct call begin_system(const char *name);
struct call begin_device(const char *name, nvmlDevice_t device, enum accepts accepts);

/* Finish with a number the state has or has not. */
nvmlReturn_t finish_with_number(struct call *call, struct maybe number, unsigned *into);
nvmlReturn_t finish_with_text(struct call *call, const char *text, char *into, unsigned size);

/* A handle for something in the state, the same one each time. NULL if there are too many. */
nvmlDevice_t handle_of(const struct gpu *gpu, const struct mig *mig);

bool is_initialised(void);
void start_session(void); /* handles from before it are no longer valid */
nvmlReturn_t end_session(void);

/* Sleep without the lock, then look at the state file again. */
void pause_call(double seconds);

#endif
