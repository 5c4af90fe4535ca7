/* Many values in one call, each of which may fail alone. */
#include "nvml_call.h"

#include <math.h>

enum {
    FIELD_MEMORY_TEMPERATURE = 82,
    FIELD_ENERGY = 83,
    FIELD_POWER_AVERAGE = 185,
    FIELD_POWER_INSTANT = 186,
    FIELD_MIN_LIMIT = 187,
    FIELD_MAX_LIMIT = 188,
    FIELD_DEFAULT_LIMIT = 189,
    FIELD_ENFORCED_LIMIT = 190,
    FIELD_LIMIT = 192,
    SCOPE_GPU = 0,
    SCOPE_MODULE = 1,
};

static nvmlReturn_t set_counter(nvmlFieldValue_t *field, double value) {
    field->value_type = VALUE_UNSIGNED_LONG_LONG;
    field->value.as_unsigned_long_long = value > 0 ? (uint64_t)floor(value + 1e-6) : 0;
    return SUCCESS;
}

static nvmlReturn_t set_number(nvmlFieldValue_t *field, struct maybe number) {
    if (!number.given)
        return NOT_SUPPORTED;
    field->value_type = VALUE_UNSIGNED_INT;
    field->value.as_unsigned = (uint32_t)number.value;
    return SUCCESS;
}

static nvmlReturn_t set_power(nvmlFieldValue_t *field, const struct gpu *gpu) {
    bool instant = field->field == FIELD_POWER_INSTANT && gpu->instant_power_mw.given;
    if (!gpu->power_fields.given)
        return NOT_SUPPORTED;
    if (field->scope == SCOPE_MODULE)
        return set_number(field, gpu->module_power_mw);
    if (field->scope != SCOPE_GPU)
        return NOT_SUPPORTED;
    return set_number(field, instant ? gpu->instant_power_mw : gpu->power_mw);
}

static nvmlReturn_t set_built_in(nvmlFieldValue_t *field, const struct gpu *gpu) {
    switch (field->field) {
    case FIELD_MEMORY_TEMPERATURE:
        return set_number(field, gpu->memory_temperature);
    case FIELD_ENERGY:
        return gpu->has_energy ? set_counter(field, value_of(&gpu->energy_mj)) : NOT_SUPPORTED;
    case FIELD_POWER_AVERAGE:
    case FIELD_POWER_INSTANT:
        return set_power(field, gpu);
    case FIELD_MIN_LIMIT:
        return set_number(field, gpu->min_limit_mw);
    case FIELD_MAX_LIMIT:
        return set_number(field, gpu->max_limit_mw);
    case FIELD_DEFAULT_LIMIT:
        return set_number(field, gpu->default_limit_mw);
    case FIELD_ENFORCED_LIMIT:
        return set_number(field, gpu->enforced_limit_mw);
    case FIELD_LIMIT:
        return set_number(field, gpu->limit_mw);
    default:
        return NOT_SUPPORTED;
    }
}

/* The state may order a failure for a field, or bring a counter that is not built in. */
static nvmlReturn_t fill(nvmlFieldValue_t *field, const struct call *call) {
    if (call->mig)
        return NOT_SUPPORTED;
    for (unsigned i = 0; i < call->gpu->field_count; i++) {
        const struct field *given = &call->gpu->fields[i];
        if (given->id == field->field)
            return given->code ? given->code : set_counter(field, value_of(&given->counter));
    }
    return set_built_in(field, call->gpu);
}

/* "NVML_SUCCESS if any values were populated"; if none was, what the first one says. */
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *fields) {
    struct call call = begin_device(__func__, device, GPU_OR_MIG);
    if (!call.code && (count < 1 || !fields))
        call.code = INVALID_ARGUMENT;
    if (call.code)
        return finish(&call);
    bool any = false;
    for (int i = 0; i < count; i++) {
        fields[i].timestamp = (int64_t)timestamp_at(now_seconds());
        fields[i].latency = 1;
        fields[i].code = fill(&fields[i], &call);
        any = any || fields[i].code == SUCCESS;
    }
    if (!any)
        call.code = fields[0].code;
    return finish(&call);
}
