#include "adapter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "engine/weights/adapter_parts.h"

static const char prefix_1[] = "transformer.", prefix_2[] = "transformer_2.";

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

/* diffusers keeps PEFT's settings as JSON text in the metadata: {"transformer.lora_alpha": 16, "transformer.r": 8, ...}. */
static Status read_settings(Adapter *a, const char *path)
{
    const char *text = safetensors_metadata(a->file, "lora_adapter_metadata");
    json_error_t error;
    if (!text) return status_ok();
    a->settings = json_loadb(text, strlen(text), 0, &error);
    if (json_is_object(a->settings)) return status_ok();
    return status_fail(ERR_INPUT, "%s: lora_adapter_metadata is no JSON object: %s", path, error.text);
}

static Status refuse_kinds(const Adapter *a, const char *path)
{
    const StoredTensor *t;
    const char *kind = adapters_other_kind(a->file, &t);
    if (kind)
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" belongs to %s; expected LoRA (lora_A and lora_B)", path,
                           t->name, kind);
    if (json_is_true(adapter_setting(a, "use_dora")))
        return status_fail(ERR_INPUT, "%s: its settings say use_dora; expected LoRA without it", path);
    return status_ok();
}

/* PEFT itself keeps alpha in a second file, whose content is no part of a shot's key: so it is not read, and where it matters that is said. */
static Status refuse_settings_beside(const Adapter *a, const char *path)
{
    if (strcmp(path_name(path), "adapter_model.safetensors") != 0 || a->settings) return status_ok();
    Status status = status_ok();
    char *folder = path_folder(path), *beside = path_join(folder, "adapter_config.json");
    json_t *c = json_load_file(beside, 0, NULL);
    const double rank = json_number_value(json_object_get(c, "r")),
                 alpha = json_number_value(json_object_get(c, "lora_alpha")),
                 unit = json_is_true(json_object_get(c, "use_rslora")) ? sqrt(rank) : rank;
    if (json_object_size(json_object_get(c, "alpha_pattern")) || json_object_size(json_object_get(c, "rank_pattern")))
        status =
            status_fail(ERR_INPUT,
                        "%s: adapter_config.json beside it has an alpha_pattern or a rank_pattern and is not read; "
                        "save the adapter with diffusers' save_lora_weights, which writes both into the file",
                        path);
    else if (unit > 0 && alpha > 0 && alpha != unit)
        status =
            status_fail(ERR_INPUT,
                        "%s: adapter_config.json beside it says lora_alpha = %g at rank %g and is not read; copy the "
                        "file to another name and give its scale times %g",
                        path, alpha, rank, alpha / unit);
    json_decref(c);
    free(beside);
    free(folder);
    return status;
}

static bool names_the_second(const Adapter *a)
{
    for (int i = 0; i < safetensors_count(a->file); i++)
        if (strncmp(safetensors_at(a->file, i)->name, prefix_2, strlen(prefix_2)) == 0) return true;
    return false;
}

char *adapters_identity(const char *file)
{
    struct stat st = {0};
    if (stat(file, &st) != 0) st.st_size = -1; /* opening it says so */
    return text_format("%s %lld %lld.%09ld", file, (long long)st.st_size, (long long)st.st_ctim.tv_sec,
                       st.st_ctim.tv_nsec);
}

static Status open_one(const AdapterOrder *order, bool second, Adapter *a)
{
    a->scale = order->scale;
    a->both = order->both;
    a->own = prefix_1;
    a->other = order->two ? prefix_2 : NULL;
    if (!isfinite(a->scale))
        return status_fail(ERR_INPUT, "%s: scale = %g, expected a finite number", order->file, a->scale);
    a->identity = adapters_identity(order->file);
    TRY(safetensors_open_file(order->file, &a->file));
    if (safetensors_count(a->file) == 0) return status_fail(ERR_INPUT, "%s: it holds no tensor", order->file);
    a->claimed = memory_get((size_t)safetensors_count(a->file), sizeof *a->claimed);
    if (second && names_the_second(a)) /* a file that was made for one transformer serves the second as well */
        a->own = prefix_2, a->other = prefix_1;
    TRY(read_settings(a, order->file));
    TRY(refuse_settings_beside(a, order->file));
    return refuse_kinds(a, order->file);
}

Status adapters_open(const AdapterOrder *order, int count, bool second, Adapters **out)
{
    Adapters *a = memory_get(1, sizeof *a);
    Status status = status_ok();
    a->adapter = memory_get((size_t)count + 1, sizeof *a->adapter);
    for (int i = 0; i < count && !failed(status); i++) {
        status = open_one(&order[i], second, &a->adapter[i]);
        a->count++;
    }
    if (failed(status)) adapters_close(&a);
    *out = a;
    return status;
}

void adapters_close(Adapters **a)
{
    if (!*a) return;
    for (int i = 0; i < (*a)->count; i++) {
        safetensors_close(&(*a)->adapter[i].file);
        free((*a)->adapter[i].identity);
        free((*a)->adapter[i].claimed);
        json_decref((*a)->adapter[i].settings);
    }
    backend_close(&(*a)->be);
    free((*a)->adapter);
    free(*a);
    *a = NULL;
}

/* ---- checking ------------------------------------------------------------------------------------------------------------ */

/* From *at on, the next that changes it; NULL: none. */
static const Adapter *next_touching(const Adapters *a, const char *tensor, int *at)
{
    Term term;
    while (a && *at < a->count) {
        const Adapter *one = &a->adapter[(*at)++];
        if (adapter_find_term(one, tensor, &term)) return one;
    }
    return NULL;
}

bool adapters_touch(const Adapters *a, const char *tensor)
{
    int at = 0;
    return next_touching(a, tensor, &at) != NULL;
}

bool adapters_differ(const Adapters *a, const Adapters *b, const char *tensor)
{
    int i = 0, k = 0;
    for (;;) {
        const Adapter *x = next_touching(a, tensor, &i), *y = next_touching(b, tensor, &k);
        if (!x || !y) return x != y;
        if (x->scale != y->scale || strcmp(x->identity, y->identity) != 0) return true;
    }
}

/* `wanted`: the shape, in words. */
static Status wrong_shape(const StoredTensor *t, const char *tensor, Tensor shape, const char *wanted)
{
    char has[STORED_SHAPE_TEXT], model[STORED_SHAPE_TEXT];
    stored_shape_text(t->ndim, t->dim, has);
    stored_shape_text(shape.ndim, shape.dim, model);
    return status_fail(ERR_INPUT,
                       "%s: tensor \"%s\" is %s, expected %s, since \"%s\" of this model is %s; give an adapter made "
                       "for this model",
                       t->file, t->name, has, wanted, tensor, model);
}

/* A is [R,K...], B is [N,R,1...]. */
static Status check_pair(const Term *term, const char *tensor, Tensor shape)
{
    const StoredTensor *down = term->down, *up = term->up;
    const int64_t rows = shape.dim[0], columns = tensor_count(shape) / rows;
    char wanted[96];
    if (!down || !up) {
        const StoredTensor *one = down ? down : up;
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is there without its other half", one->file, one->name);
    }
    const int64_t rank = down->ndim > 0 ? down->dim[0] : 0;
    snprintf(wanted, sizeof wanted, "[rank,%" PRId64 "]", columns);
    if (rank < 1 || stored_count(down) != rank * columns) return wrong_shape(down, tensor, shape, wanted);
    snprintf(wanted, sizeof wanted, "[%" PRId64 ",%" PRId64 "] (rank %" PRId64 " by its other half)", rows, rank, rank);
    if (up->ndim < 2 || up->dim[0] != rows || up->dim[1] != rank || stored_count(up) != rows * rank)
        return wrong_shape(up, tensor, shape, wanted);
    if (term->alpha && stored_count(term->alpha) != 1)
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" has %" PRId64 " numbers, expected one", term->alpha->file,
                           term->alpha->name, stored_count(term->alpha));
    return status_ok();
}

static void claim(Adapter *a, const StoredTensor *t)
{
    if (t) a->claimed[t - safetensors_at(a->file, 0)] = true;
}

/* A clip of such numbers is black, or noise, and says nothing of why. Looking takes less than the file's hash does, which `check` takes
 * anyway. */
static Status check_numbers(const StoredTensor *t)
{
    if (!stored_is_number(t->type))
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is of type %s, expected F32, F64, BF16, F16 or fp8", t->file,
                           t->name, t->type_name);
    const int64_t bad = stored_find_infinite(t);
    if (bad < 0) return status_ok();
    return status_fail(ERR_INPUT,
                       "%s: tensor \"%s\": number %" PRId64 " of %" PRId64
                       " is infinite or none (NaN), expected finite "
                       "ones: its training diverged, or the file is damaged; give another version of it",
                       t->file, t->name, bad, stored_count(t));
}

static Status claim_one(Adapter *a, const char *tensor, Tensor shape)
{
    Term term;
    if (!adapter_find_term(a, tensor, &term)) return status_ok();
    const StoredTensor *const used[] = {term.down, term.up, term.alpha, term.bias, term.diff};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        const bool whole = used[i] && used[i] == term.alpha && used[i]->type == STORED_I64; /* as kohya writes it */
        if (used[i] && !whole) TRY(check_numbers(used[i]));
        claim(a, used[i]);
    }
    if (!adapter_ends_in(tensor, ".bias")) {
        if (term.down || term.up) TRY(check_pair(&term, tensor, shape));
    } else if (term.bias && !term.down) {
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is there without its lora_A.weight", term.bias->file,
                           term.bias->name);
    }
    if (term.bias && stored_count(term.bias) != tensor_count(shape))
        return wrong_shape(term.bias, tensor, shape, "the same shape");
    if (term.diff && stored_count(term.diff) != tensor_count(shape))
        return wrong_shape(term.diff, tensor, shape, "the same shape");
    return status_ok();
}

Status adapters_claim(Adapters *a, const char *tensor, Tensor shape)
{
    for (int i = 0; a && i < a->count; i++) TRY(claim_one(&a->adapter[i], tensor, shape));
    return status_ok();
}

static bool is_for_the_other(const Adapter *a, const StoredTensor *t)
{
    return a->other && strncmp(t->name, a->other, strlen(a->other)) == 0;
}

static Status check_claimed(const Adapter *a)
{
    const int count = safetensors_count(a->file);
    const StoredTensor *first = NULL; /* that matches nothing */
    int unmatched = 0, claimed = 0;
    char more[64] = "", has[STORED_SHAPE_TEXT];
    for (int i = 0; i < count; i++) {
        const StoredTensor *t = safetensors_at(a->file, i);
        claimed += a->claimed[i];
        if (a->claimed[i] || is_for_the_other(a, t)) continue;
        if (!first) first = t;
        unmatched++;
    }
    if (!first && !claimed && !a->both)
        return status_fail(
            ERR_INPUT,
            "%s: all its tensors are called %s..., which is the model's other transformer; expected some "
            "for this one; say `low` for transformer_2, `high` for transformer, or neither",
            safetensors_at(a->file, 0)->file, a->other);
    if (!first) return status_ok();
    if (unmatched > 1) snprintf(more, sizeof more, ", as do %d more of its %d", unmatched - 1, count);
    stored_shape_text(first->ndim, first->dim, has);
    if (strstr(first->name, "text_encoder") || strstr(first->name, "lora_te"))
        return status_fail(ERR_INPUT,
                           "%s: tensor \"%s\" changes the text encoder, which this program leaves as it is; expected a "
                           "LoRA of the transformer alone",
                           first->file, first->name);
    if (strstr(first->name, "k_img") || strstr(first->name, "v_img") || strstr(first->name, "add_k_proj") ||
        strstr(first->name, "add_v_proj") || strstr(first->name, "img_emb") || strstr(first->name, "image_embedder"))
        return status_fail(
            ERR_INPUT,
            "%s: tensor \"%s\" %s changes how a picture is heard, and this model has no such part%s; it was "
            "made for a Wan2.1 that starts from a picture (I2V)",
            first->file, first->name, has, more);
    return status_fail(
        ERR_INPUT,
        "%s: tensor \"%s\" %s matches nothing in this model%s; expected a LoRA made for this model, with "
        "names like blocks.0.attn1.to_q.lora_A.weight or diffusion_model.blocks.0.self_attn.q.lora_down.weight",
        first->file, first->name, has, more);
}

Status adapters_check_claimed(const Adapters *a)
{
    for (int i = 0; a && i < a->count; i++) TRY(check_claimed(&a->adapter[i]));
    return status_ok();
}
