/* verb_inspect.c - `reelwright inspect PATH`: what a checkpoint, a model folder, a file of weights or a clip holds. Each is read into a JSON
 * object, which is printed as it is (--json) or as indented lines. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shot_file.h"
#include "engine/identify.h"
#include "worker/render/checkpoint.h"
#include "worker/render/worker.h"
#include "worker/verbs/inspect.h"
#include "worker/verbs/verbs.h"

/* ---- checkpoint ------------------------------------------------------------------------------------------------------------ */

static json_t *describe_tensor(const float *x, const int64_t dim[4])
{
    int64_t count = dim[0] * dim[1] * dim[2] * dim[3];
    double sum = 0, squares = 0;
    float least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
        least = fminf(least, x[i]);
        most = fmaxf(most, x[i]);
    }
    double mean = sum / (double)count;
    return json_pack("{s:[I,I,I,I], s:f, s:f, s:f, s:f}", "shape", (json_int_t)dim[0], (json_int_t)dim[1],
                     (json_int_t)dim[2], (json_int_t)dim[3], "min", (double)least, "max", (double)most, "mean", mean,
                     "std", sqrt(fmax(0, squares / (double)count - mean * mean)));
}

static json_t *describe_checkpoint(const Checkpoint *c)
{
    const CheckpointOwner *o = &c->owner;
    char *seed = text_format("%" PRIu64, o->seed);
    json_t *j =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:s, s:s}", "kind", "checkpoint",
                  "version", CHECKPOINT_VERSION, "shot", o->shot, "model", o->model, "prompt_sha256", o->prompt_sha256,
                  "seed", seed, "width", o->width, "height", o->height, "frames", o->frames, "fps", o->fps, "step",
                  c->state.step, "steps", o->steps, "guidance", o->guidance, "dtype", o->dtype, "computed_by", o->kind);
    json_object_set_new(j, "latents", describe_tensor(c->state.latents, c->dim));
    json_t *history = json_array();
    for (int i = 0; i < c->state.solver_count; i++)
        json_array_append_new(history, describe_tensor(c->state.solver[i], c->dim));
    json_object_set_new(j, "solver_history", history);
    free(seed);
    return j;
}

static Status inspect_checkpoint(const char *path, json_t **out)
{
    Checkpoint c;
    TRY(checkpoint_read(path, NULL, &c));
    *out = describe_checkpoint(&c);
    checkpoint_clear(&c);
    return status_ok();
}

/* ---- file of weights ----------------------------------------------------------------------------------------------------------- */

static bool is_weights(const char *path)
{
    static const char *const end[] = {".safetensors", ".gguf", ".pth", ".pt", ".ckpt", ".bin"};
    const char *dot = strrchr(path_name(path), '.');
    for (size_t i = 0; dot && i < sizeof end / sizeof *end; i++)
        if (strcmp(dot, end[i]) == 0) return true;
    return false;
}

static Status inspect_weights(const char *path, json_t **out)
{
    Identified w;
    TRY(identify_file(path, &w));
    const bool adapter = strcmp(w.part, "adapter") == 0;
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:I}", "kind", adapter ? "adapter" : "weights", "part", w.part, "model",
                  w.model, "tensors", w.tensors, "parameters", (json_int_t)w.parameters, "bytes", (json_int_t)w.bytes);
    if (!j) return status_fail(ERR_NODE, "out of memory");
    if (*w.also) json_object_set_new(j, "also_holds", json_string(w.also));
    json_object_set_new(j, "stored_as", json_string(w.types));
    if (!adapter) json_object_set_new(j, "loaded_as", json_string(w.kept));
    json_object_set_new(j, "whole", *w.fault ? json_false() : json_true());
    if (*w.fault) json_object_set_new(j, "fault", json_string(w.fault));
    char *use =
        adapter && *w.fault ? text_copy("not by this program")
        : adapter           ? text_format("render --lora %s, or a campaign's loras", path_name(path))
        : *w.also ? text_format("lay it, or links to it, into MODEL/%s/ and the folders of %s in place of the weights "
                                "there; each config.json stays",
                                w.part, w.also)
        : *w.part ? text_format("lay it into MODEL/%s/ in place of the weights there; config.json stays", w.part)
                  : text_copy("not by this program");
    json_object_set_new(j, "use", json_string(use));
    free(use);
    *out = j;
    return status_ok();
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), e = strlen(end);
    return n >= e && strcmp(text + n - e, end) == 0;
}

static char *bytes_text(double bytes)
{
    return text_format(bytes < 1e9 ? "%.0f MB" : "%.1f GB", bytes < 1e9 ? bytes / 1e6 : bytes / 1e9);
}

/* "weights_bytes": 123 as it is, and in a unit that a person reads. */
static void print_number(const char *name, const json_t *v, int indent, int width)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7) | JSON_COMPACT);
    char *bytes = ends_with(name, "bytes") ? bytes_text(json_number_value(v)) : NULL;
    foreign_print(stdout, "%*s%-*s %s%s%s%s\n", indent, "", width, name, text ? text : "", bytes ? "  (" : "",
                  bytes ? bytes : "", bytes ? ")" : "");
    free(bytes);
    free(text);
}

/* Objects with the same keys: a line each under their names. */
static void print_table(const char *name, const json_t *rows, int indent)
{
    size_t i;
    json_t *row, *v;
    const char *key;
    foreign_print(stdout, "%*s%s:\n%*s", indent, "", name, indent + 2, "");
    json_object_foreach(json_array_get(rows, 0), key, v)
        foreign_print(stdout, "%-16.*s", (int)(strlen(key) - (ends_with(key, "_bytes") ? strlen("_bytes") : 0)), key);
    json_array_foreach(rows, i, row)
    {
        foreign_print(stdout, "\n%*s", indent + 2, "");
        json_object_foreach(row, key, v)
        {
            char *text = ends_with(key, "_bytes") ? bytes_text(json_number_value(v)) : json_dumps(v, JSON_ENCODE_ANY);
            foreign_print(stdout, "%-16s", text ? text : "");
            free(text);
        }
    }
    putchar('\n');
}

static void print_value(const char *name, const json_t *v, int depth)
{
    size_t i;
    json_t *inner;
    const char *key;
    if (json_is_object(v)) {
        if (name) foreign_print(stdout, "%*s%s:\n", 2 * depth, "", name);
        json_object_foreach((json_t *)(uintptr_t)v, key, inner) print_value(key, inner, name ? depth + 1 : depth);
    } else if (json_is_array(v) && json_is_object(json_array_get(v, 0)) && strcmp(name, "group") == 0) {
        print_table(name, v, 2 * depth);
    } else if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
        json_array_foreach(v, i, inner) print_value(name, inner, depth);
    } else {
        print_number(name, v, 2 * depth, 22 - 2 * depth);
    }
}

static bool has_file(const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    const bool there = file_exists(path);
    free(path);
    return there;
}

/* A folder that is no model: one file of weights in it is looked at, else it is said what is missing. */
static Status inspect_part(const char *folder, json_t **out)
{
    char **name, *found = NULL, *above = path_join(folder, "..");
    int count, weights = 0;
    Status status = shot_file_names(folder, &name, &count);
    for (int i = 0; i < count && !failed(status); i++) {
        if (!is_weights(name[i])) continue;
        if (!found) found = path_join(folder, name[i]);
        weights++;
    }
    if (!failed(status)) shot_file_names_free(name, count);
    if (!failed(status) && weights == 1)
        status = inspect_weights(found, out);
    else if (!failed(status))
        status = status_fail(
            ERR_INPUT, "%s: no model folder, for it has no model_index.json; it holds %d file%s of weights%s%s", folder,
            weights, plural_s(weights), weights ? ": inspect one of them, as " : "", weights ? path_name(found) : "");
    if (failed(status) && has_file(above, "model_index.json"))
        status = status_fail(status.err, "%s; the folder above it is a model: inspect that", status.message);
    free(found);
    free(above);
    return status;
}

static bool is_checkpoint(const char *path)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    char got[sizeof signature] = "";
    FILE *f;
    file_open_stream(path, &f);
    bool same = f && fread(got, 1, 8, f) == 8 && memcmp(got, signature, 8) == 0;
    if (f) fclose(f);
    return same;
}

static Status inspect(const char *path, const InspectOptions *o, json_t **out)
{
    if (!file_exists(path)) return status_fail(ERR_INPUT, "%s: no such file or folder", path);
    if (file_is_folder(path))
        return has_file(path, "model_index.json") ? inspect_model(path, o, out) : inspect_part(path, out);
    TRY(file_check_regular(path));
    if (is_weights(path)) return inspect_weights(path, out);
    return is_checkpoint(path) ? inspect_checkpoint(path, out) : inspect_clip(path, out);
}

Status verb_inspect(int argc, char **argv)
{
    InspectOptions o = {.dtype = 1};
    int first;
    const Option table[] = {
        {"json", OPTION_FLAG, &o.as_json, .help = "one JSON object"},
        {"dtype", OPTION_CHOICE, &o.dtype, .value = WORK_DTYPES,
         .help = "of a model: what its matrices are computed in (bf16)"},
        {"vae-dtype", OPTION_CHOICE, &o.vae_dtype, .value = "fp32|bf16",
         .help = "and its autoencoder and image encoder (fp32)"},
        {"width", OPTION_INT, &o.width, .value = "W", .min = 1, .max = 1 << 16},
        {"height", OPTION_INT, &o.height, .value = "H", .min = 1, .max = 1 << 16},
        {"frames", OPTION_INT, &o.frames, .value = "N", .min = 1, .max = 1e6,
         .help = "of the clip that the memory is planned for (the model's own)"},
        {"memory", OPTION_REAL, &o.memory_gb, .value = "GB", .min = 0.001, .max = 1e6,
         .help = "of one rank: says whether it is enough"},
        {"hash", OPTION_FLAG, &o.hash, .help = "of a model: SHA-256 of its files (reads all of them)"},
    };
    const Usage usage = {
        .verb = "inspect",
        .arguments = "PATH [options]",
        .about = "Shows what a checkpoint (.h5), a model folder, a file of weights, a clip or a sound holds; of a\n"
                 "model also what it takes: bytes of each stage, and of one rank when 1, 2, 4 or 8 of them share\n"
                 "the matrices.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = 1};
    json_t *j = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(inspect(argv[first], &o, &j));
    if (o.as_json)
        foreign_print_json(stdout, j, JSON_REAL_PRECISION(7) | JSON_INDENT(1));
    else
        print_value(NULL, j, 0);
    json_decref(j);
    return status_ok();
}
