#include "json_fields.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { MAX_JSON = 4 << 20 };

Status fields_open(const char *folder, const char *name, Fields *f)
{
    *f = (Fields){.path = path_join(folder, name), .status = status_ok()};
    char *text = NULL;
    size_t bytes = 0;
    json_error_t error;
    f->status = file_read(f->path, MAX_JSON, &text, &bytes);
    if (failed(f->status)) return f->status;
    f->root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!f->root) {
        f->status = status_fail(ERR_INPUT, "%s:%d: %s", f->path, error.line, error.text);
    } else if (!json_is_object(f->root)) {
        f->status = status_fail(ERR_INPUT, "%s: expected a JSON object", f->path);
    }
    return f->status;
}

Status fields_close(Fields *f)
{
    json_decref(f->root);
    free(f->path);
    f->root = NULL;
    f->path = NULL;
    return f->status;
}

void fields_fault(Fields *f, const char *key, const char *fmt, ...)
{
    if (failed(f->status)) return;
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    f->status = status_fail(ERR_INPUT, "%s: %s%s", f->path, key, text);
}

json_t *fields_get(Fields *f, const char *key)
{
    json_t *v = failed(f->status) ? NULL : json_object_get(f->root, key);
    return json_is_null(v) ? NULL : v;
}

static int whole(Fields *f, const char *key, json_t *v, int min, int max)
{
    json_int_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= min && n <= max) return (int)n;
    if (json_is_integer(v)) {
        fields_fault(f, key, " = %" PRId64 ", expected %d to %d", (int64_t)n, min, max);
    } else {
        fields_fault(f, key, " is no whole number, expected %d to %d", min, max);
    }
    return min;
}

int fields_int(Fields *f, const char *key, int fallback, int min, int max)
{
    json_t *v = fields_get(f, key);
    return v ? whole(f, key, v, min, max) : fallback;
}

double fields_real(Fields *f, const char *key, double fallback, double min, double max)
{
    json_t *v = fields_get(f, key);
    if (!v) return fallback;
    double x = json_number_value(v);
    if (json_is_number(v) && x >= min && x <= max) return x;
    if (json_is_number(v)) {
        fields_fault(f, key, " = %g, expected %g to %g", x, min, max);
    } else {
        fields_fault(f, key, " is no number, expected %g to %g", min, max);
    }
    return min;
}

bool fields_bool(Fields *f, const char *key, bool fallback)
{
    json_t *v = fields_get(f, key);
    if (v && !json_is_boolean(v)) fields_fault(f, key, " is neither true nor false");
    return v ? json_is_true(v) : fallback;
}

const char *fields_text(Fields *f, const char *key, const char *fallback)
{
    json_t *v = fields_get(f, key);
    if (v && !json_is_string(v)) fields_fault(f, key, " is no text");
    return v && json_is_string(v) ? json_string_value(v) : fallback;
}

bool fields_ints(Fields *f, const char *key, int min, int max, int low, int high, int *to, int *count)
{
    json_t *v = fields_get(f, key);
    if (!v) return false;
    if (!json_is_array(v) || json_array_size(v) < (size_t)min || json_array_size(v) > (size_t)max) {
        fields_fault(f, key, " is no list of %d to %d numbers", min, max);
        return true;
    }
    *count = (int)json_array_size(v);
    for (int i = 0; i < *count; i++) to[i] = whole(f, key, json_array_get(v, (size_t)i), low, high);
    return true;
}

void fields_reals(Fields *f, const char *key, int count, const float *fallback, double min, double max, float *to)
{
    json_t *v = fields_get(f, key);
    if (!v && fallback) memcpy(to, fallback, (size_t)count * sizeof *to);
    if (!v && fallback) return;
    if (!json_is_array(v) || json_array_size(v) != (size_t)count) {
        fields_fault(f, key, " is no list of %d numbers", count);
        return;
    }
    for (int i = 0; i < count; i++) {
        json_t *n = json_array_get(v, (size_t)i);
        double x = json_number_value(n);
        if (!json_is_number(n) || !(x >= min && x <= max))
            fields_fault(f, key, "[%d]: expected a number from %g to %g", i, min, max);
        to[i] = (float)x;
    }
}

void fields_refuse(Fields *f, const char *key, bool allowed)
{
    json_t *v = fields_get(f, key);
    if (!v || (json_is_boolean(v) && json_is_true(v) == allowed)) return;
    fields_fault(f, key, " is not supported, expected %s", allowed ? "true" : "false or null");
}

void fields_expect(Fields *f, const char *key, const char *fallback, const char *want)
{
    const char *text = fields_text(f, key, fallback);
    if (strcmp(text, want) != 0) fields_fault(f, key, " = \"%.60s\", expected \"%s\"", text, want);
}
