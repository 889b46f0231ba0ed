/* record_json.c - a record as a file. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/plan/record.h"

enum { MOST_BYTES = 64 << 20, MOST_OTHERS = 64 };
static const char format_name[] = "reelwright-record 1";

static json_t *times_json(const Measured *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->count; i++) json_array_append_new(list, json_real(m->s[i]));
    return list;
}

json_t *record_json(const Record *r)
{
    json_t *o = json_pack("{s:s, s:O, s:O, s:i, s:i, s:i, s:i, s:b, s:O, s:f, s:f, s:f, s:f, s:f, s:O}", "format",
                          format_name, "machine", r->machine, "work", r->work, "nodes", r->nodes, "workers", r->workers,
                          "group_size", r->group_size ? r->group_size : 1, "finishers", r->finishers, "both", r->both,
                          "nights", r->nights, "start_s", r->start_s, "end_s", r->end_s, "gap_s", r->gap_s, "run_sd",
                          r->run_sd, "worker_sd", r->worker_sd, "invalid", r->invalid);
    json_object_set(o, "file_system", r->file_system ? r->file_system : json_null());
    json_object_set(o, "network", r->network ? r->network : json_null());
    json_object_set(o, "roofline", r->roofline ? r->roofline : json_null());
    json_object_set_new(o, "measured_s", json_integer((json_int_t)r->measured_s));
    json_object_set_new(o, "leases", json_integer(r->leases));
    json_object_set_new(o, "failed", json_integer(r->failed));
    json_object_set_new(o, "load_s", times_json(&r->load));
    json_object_set_new(o, "render_s", times_json(&r->render));
    json_object_set_new(o, "finish_s", times_json(&r->finish));
    json_object_set_new(o, "first_frame_s", times_json(&r->first_frame));
    json_object_set_new(o, "finish",
                        json_pack("{s:f, s:f, s:f}", "gates_s", r->gates_s, "watermark_s", r->watermark_s,
                                  "credentials_s", r->credentials_s));
    json_object_set_new(o, "memory",
                        json_pack("{s:I, s:I, s:O}", "renderer_bytes", (json_int_t)r->renderer_bytes, "finisher_bytes",
                                  (json_int_t)r->finisher_bytes, "added", r->memory_added));
    json_object_set_new(o, "sizes",
                        json_pack("{s:f, s:f, s:f}", "master_bytes", r->master_bytes, "clip_bytes", r->clip_bytes,
                                  "checkpoint_bytes", r->checkpoint_bytes));
    json_object_set_new(
        o, "stages",
        json_pack("{s:f, s:f, s:f}", "text_s", r->text_s, "denoise_s", r->denoise_s, "decode_s", r->decode_s));
    json_object_set_new(
        o, "summary",
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "render_p50_s", measured_quantile(&r->render, 0.5), "render_p90_s",
                  measured_quantile(&r->render, 0.9), "render_p99_s", measured_quantile(&r->render, 0.99),
                  "finish_p50_s", measured_quantile(&r->finish, 0.5), "finish_p90_s",
                  measured_quantile(&r->finish, 0.9), "finish_p99_s", measured_quantile(&r->finish, 0.99)));
    json_t *others = json_array();
    for (int i = 0; i < r->other_count; i++) json_array_append_new(others, record_json(&r->other[i]));
    json_object_set_new(o, "others", others);
    const ClipRates clips = record_rates(r);
    json_object_set_new(o, "clips",
                        json_pack("{s:f, s:f, s:f, s:f}", "clips_per_hour_and_node", clips.node,
                                  "clips_per_hour_and_core", clips.core, "clips_per_hour_and_gpu", clips.gpu,
                                  "clips_per_kwh", clips.kwh));
    return o;
}

Status record_write(const Record *r, const char *path)
{
    json_t *o = record_json(r);
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (!text) abort();
    Status status = file_replace(path, text, strlen(text));
    free(text);
    json_decref(o);
    return status;
}

static Status read_times(const char *path, const json_t *o, const char *key, int least, Measured *out)
{
    const json_t *list = json_object_get(o, key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        if (!json_is_number(x) || !(json_number_value(x) >= 0 && json_number_value(x) <= 1e7))
            return status_fail(ERR_INPUT, "%s: %s[%zu]: expected seconds, 0 to 10000000", path, key, i);
        measured_add(out, json_number_value(x));
    }
    if (out->count >= least) return status_ok();
    return status_fail(ERR_INPUT,
                       "%s: %s: expected a list of at least %d times; `reelwright bench CAMPAIGN.yaml` makes a record",
                       path, key, least);
}

static Status read_number(const char *path, const json_t *o, const char *key, double most, double *out)
{
    const json_t *x = json_object_get(o, key);
    if (!json_is_number(x) || !(json_number_value(x) >= 0 && json_number_value(x) <= most))
        return status_fail(ERR_INPUT, "%s: %s: expected a number from 0 to %g", path, key, most);
    *out = json_number_value(x);
    return status_ok();
}

static Status read_count(const char *path, const json_t *o, const char *key, int *out)
{
    double x;
    TRY(read_number(path, o, key, 1e6, &x));
    *out = (int)x;
    return status_ok();
}

static json_t *copy_of(const json_t *o, const char *key, json_t *otherwise)
{
    json_t *found = json_object_get(o, key);
    const bool same = found && json_typeof(found) == json_typeof(otherwise);
    json_t *copy = same ? json_deep_copy(found) : json_incref(otherwise);
    json_decref(otherwise);
    return copy;
}

static json_t *copy_of_any(const json_t *o, const char *key) /* NULL: no object */
{
    const json_t *found = json_object_get(o, key);
    return json_is_object(found) ? json_deep_copy(found) : NULL;
}

/* 0 where an older record does not say it. */
static Status read_known(const char *path, const json_t *o, const char *key, double most, double *out)
{
    return json_object_get(o, key) ? read_number(path, o, key, most, out) : status_ok();
}

/* What a record from before it was measured does not have. */
static Status take_sizes(const char *path, const json_t *o, Record *r)
{
    const json_t *finish = json_object_get(o, "finish"), *memory = json_object_get(o, "memory"),
                 *sizes = json_object_get(o, "sizes");
    double renderer = 0, finisher = 0;
    TRY(read_times(path, o, "first_frame_s", 0, &r->first_frame));
    TRY(read_known(path, o, "measured_s", 1e12, &r->measured_s));
    TRY(read_known(path, finish, "gates_s", 1e7, &r->gates_s));
    TRY(read_known(path, finish, "watermark_s", 1e7, &r->watermark_s));
    TRY(read_known(path, finish, "credentials_s", 1e7, &r->credentials_s));
    TRY(read_known(path, memory, "renderer_bytes", 1e15, &renderer));
    TRY(read_known(path, memory, "finisher_bytes", 1e15, &finisher));
    TRY(read_known(path, sizes, "master_bytes", 1e15, &r->master_bytes));
    TRY(read_known(path, sizes, "clip_bytes", 1e15, &r->clip_bytes));
    TRY(read_known(path, sizes, "checkpoint_bytes", 1e15, &r->checkpoint_bytes));
    r->renderer_bytes = (int64_t)renderer;
    r->finisher_bytes = (int64_t)finisher;
    r->memory_added = copy_of(memory, "added", json_object());
    return status_ok();
}

static Status take_json(const char *path, const json_t *o, Record *r)
{
    const char *format = json_string_value(json_object_get(o, "format"));
    if (!format || strcmp(format, format_name) != 0)
        return status_fail(ERR_INPUT, "%s: no record: expected \"format\": \"%s\"", path, format_name);
    r->machine = copy_of(o, "machine", json_object());
    r->work = copy_of(o, "work", json_object());
    r->nights = copy_of(o, "nights", json_array());
    r->invalid = copy_of(o, "invalid", json_array());
    r->file_system = copy_of_any(o, "file_system");
    r->network = copy_of_any(o, "network");
    r->roofline = copy_of_any(o, "roofline");
    TRY(read_count(path, o, "nodes", &r->nodes));
    TRY(read_count(path, o, "workers", &r->workers));
    TRY(read_count(path, o, "group_size", &r->group_size));
    TRY(read_count(path, o, "finishers", &r->finishers));
    r->both = json_is_true(json_object_get(o, "both"));
    if (r->group_size < 1) r->group_size = 1;
    if (r->nodes < 1 || r->workers < 1) return status_fail(ERR_INPUT, "%s: expected nodes and workers above 0", path);
    TRY(read_times(path, o, "load_s", 1, &r->load));
    TRY(read_times(path, o, "render_s", 1, &r->render));
    TRY(read_times(path, o, "finish_s", 1, &r->finish));
    r->leases = json_integer_value(json_object_get(o, "leases")); /* 0: a record that does not say it */
    r->failed = json_integer_value(json_object_get(o, "failed"));
    if (r->failed < 0 || r->failed > r->leases)
        return status_fail(ERR_INPUT, "%s: failed: expected a number from 0 to leases = %lld", path,
                           (long long)r->leases);
    const json_t *stages = json_object_get(o, "stages");
    TRY(read_number(path, stages, "text_s", 1e7, &r->text_s));
    TRY(read_number(path, stages, "denoise_s", 1e7, &r->denoise_s));
    TRY(read_number(path, stages, "decode_s", 1e7, &r->decode_s));
    TRY(take_sizes(path, o, r));
    TRY(read_number(path, o, "start_s", 1e6, &r->start_s));
    TRY(read_number(path, o, "end_s", 1e6, &r->end_s));
    TRY(read_number(path, o, "gap_s", 1e3, &r->gap_s));
    TRY(read_number(path, o, "run_sd", 10, &r->run_sd));
    TRY(read_number(path, o, "worker_sd", 10, &r->worker_sd));
    const json_t *others = json_object_get(o, "others");
    for (size_t i = 0; i < json_array_size(others) && i < MOST_OTHERS; i++) {
        Record *other = record_add_other(r);
        record_clear(other);
        Status status = take_json(path, json_array_get(others, i), other);
        if (failed(status)) return status_at(status, "others[%zu]", i);
        if (other->other_count) return status_fail(ERR_INPUT, "%s: others[%zu]: expected no others in it", path, i);
    }
    return status_ok();
}

Status record_read(const char *path, Record *out)
{
    char *data;
    size_t bytes;
    *out = (Record){0};
    if (file_is_folder(path)) {
        record_begin(out);
        TRY(record_add_folder(path, 0, out));
        record_settle(out);
        if (out->render.count > 0) return status_ok();
        return status_fail(ERR_INPUT, "%s: no shot of it was rendered yet; a record needs one", path);
    }
    TRY(file_read(path, MOST_BYTES, &data, &bytes));
    json_error_t error;
    json_t *o = json_loadb(data, bytes, 0, &error);
    free(data);
    if (!o)
        return status_fail(
            ERR_INPUT,
            "%s:%d: no record: %s; expected what `reelwright bench` writes, or the folder of a campaign that has run",
            path, error.line, error.text);
    Status status = take_json(path, o, out);
    json_decref(o);
    return status;
}
