#include "adapter.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/weights/names.h"
#include "engine/weights/safetensors.h"
#include "kernels/ops.h"

typedef struct {
    Safetensors *file;
    double scale;
    bool *claimed;     /* per tensor of file */
    json_t *settings;  /* what PEFT was set to, or NULL: from the file's metadata */
    const char *own;   /* the prefix of this transformer's tensors in a file for two */
    const char *other; /* that of the other one's, or NULL: the model has one */
    bool both;
} Adapter;

struct Adapters {
    Adapter *adapter;
    int count;
    Backend *be; /* the products are made on the processor, in fp32; NULL until the first */
};

typedef struct {                           /* what one adapter has for one tensor; all NULL: nothing */
    const StoredTensor *down, *up, *alpha; /* A, B */
    const StoredTensor *bias;              /* what PEFT's lora_bias adds behind B: scaled as B A is */
    const StoredTensor *diff;              /* a whole difference */
    char module[NAMES_MOST];               /* as this file calls it, without prefix */
} Term;

static const char prefix_1[] = "transformer.", prefix_2[] = "transformer_2.";

/* ---- names ------------------------------------------------------------------------------------------------------------- */

static const char *const down_ends[] = {".lora_A.weight", ".lora_down.weight", ".lora_A.default.weight",
                                        ".lora.down.weight", NULL};
static const char *const up_ends[] = {".lora_B.weight", ".lora_up.weight", ".lora_B.default.weight", ".lora.up.weight",
                                      NULL};
static const char *const alpha_ends[] = {".alpha", NULL};
static const char *const diff_ends[] = {".diff", NULL};
static const char *const diff_b_ends[] = {".diff_b", NULL};
static const char *const diff_m_ends[] = {".diff_m", NULL};
static const char *const bias_ends[] = {".lora_B.bias", ".lora_up.bias", ".lora_B.default.bias", NULL};

static const StoredTensor *find_end(const Adapter *a, const char *stem, const char *const *end)
{
    char name[2 * NAMES_MOST];
    for (; *end; end++) {
        snprintf(name, sizeof name, "%s%s", stem, *end);
        const StoredTensor *t = safetensors_find(a->file, name);
        if (t) return t;
    }
    return NULL;
}

/* What the file has under this stem for a weight, or for a bias. */
static bool find_at(const Adapter *a, const char *stem, bool bias, Term *out)
{
    out->down = find_end(a, stem, down_ends);
    out->alpha = find_end(a, stem, alpha_ends);
    out->bias = bias ? find_end(a, stem, bias_ends) : NULL;
    out->up = bias ? NULL : find_end(a, stem, up_ends);
    out->diff = find_end(a, stem, bias ? diff_b_ends : diff_ends);
    return out->bias || out->diff || (!bias && (out->down || out->up));
}

static void underscored(char *name)
{
    for (; *name; name++)
        if (*name == '.') *name = '_';
}

/* One spelling of the module, behind each prefix that tools put before it. */
static bool find_spelled(const Adapter *a, const char *module, bool bias, Term *out)
{
    const char *const prefix[] = {"", a->own, "diffusion_model.", "base_model.model.", "model.diffusion_model."};
    char stem[2 * NAMES_MOST];
    snprintf(out->module, sizeof out->module, "%s", module);
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
        snprintf(stem, sizeof stem, "%s%s", prefix[i], module);
        if (find_at(a, stem, bias, out)) return true;
    }
    static const char *const kohya[] = {"lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_"};
    for (size_t i = 0; i < sizeof kohya / sizeof *kohya; i++) {
        const int n = snprintf(stem, sizeof stem, "%s", kohya[i]);
        snprintf(stem + n, sizeof stem - (size_t)n, "%s", module);
        underscored(stem + n);
        if (find_at(a, stem, bias, out)) return true;
    }
    return false;
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* LightX2V's name of a difference of "blocks.0.modulation" is "blocks.0.diff_m". */
static bool find_modulation(const Adapter *a, const char *published, Term *out)
{
    char stem[NAMES_MOST + 32];
    if (!ends_in(published, ".modulation")) return false;
    snprintf(stem, sizeof stem, "diffusion_model.%s", published);
    *strrchr(stem, '.') = 0;
    out->diff = find_end(a, stem, diff_m_ends);
    if (!out->diff) out->diff = find_end(a, stem + strlen("diffusion_model."), diff_m_ends);
    return out->diff != NULL;
}

static bool find_term(const Adapter *a, const char *tensor, Term *out)
{
    char module[NAMES_MOST], published[NAMES_MOST];
    const bool bias = ends_in(tensor, ".bias");
    *out = (Term){0};
    if ((size_t)snprintf(module, sizeof module, "%s", tensor) >= sizeof module) return false;
    if (bias || ends_in(tensor, ".weight")) *strrchr(module, '.') = 0;
    if (find_spelled(a, module, bias, out)) return true;
    if (!names_published(module, false, published, sizeof published)) return false;
    return find_spelled(a, published, bias, out) || find_modulation(a, published, out);
}

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

/* A setting of this transformer, whatever prefix it stands under; NULL: not there. */
static const json_t *setting(const Adapter *a, const char *key)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", a->own, key);
    const json_t *found = json_object_get(a->settings, name);
    return found ? found : json_object_get(a->settings, key);
}

const char *adapters_other_kind(const Safetensors *file, const StoredTensor **tensor)
{
    static const struct {
        const char *part, *kind;
    } other[] = {{"dora_scale", "DoRA"},
                 {"lora_magnitude_vector", "DoRA"},
                 {"hada_w1", "LoHa"},
                 {"lokr_w1", "LoKr"},
                 {"oft_blocks", "OFT"},
                 {"boft_R", "BOFT"},
                 {"oft_R", "OFT"},
                 {"vera_lambda", "VeRA"},
                 {"ia3_l", "IA3"},
                 {"lora_mid", "LoCon with a middle"},
                 {"lora_embedding_", "an embedding's LoRA"}};
    for (int i = 0; i < safetensors_count(file); i++)
        for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
            *tensor = safetensors_at(file, i);
            if (strstr((*tensor)->name, other[k].part)) return other[k].kind;
        }
    return NULL;
}

static Status refuse_kinds(const Adapter *a, const char *path)
{
    const StoredTensor *t;
    const char *kind = adapters_other_kind(a->file, &t);
    if (kind)
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" belongs to %s; expected LoRA (lora_A and lora_B)", path,
                           t->name, kind);
    if (json_is_true(setting(a, "use_dora")))
        return status_fail(ERR_INPUT, "%s: its settings say use_dora; expected LoRA without it", path);
    return status_ok();
}

static bool names_the_second(const Adapter *a)
{
    for (int i = 0; i < safetensors_count(a->file); i++)
        if (strncmp(safetensors_at(a->file, i)->name, prefix_2, strlen(prefix_2)) == 0) return true;
    return false;
}

static Status open_one(const AdapterOrder *order, bool second, Adapter *a)
{
    a->scale = order->scale;
    a->both = order->both;
    a->own = prefix_1;
    a->other = order->two ? prefix_2 : NULL;
    if (!isfinite(a->scale))
        return status_fail(ERR_INPUT, "%s: scale = %g, expected a finite number", order->file, a->scale);
    TRY(safetensors_open_file(order->file, &a->file));
    if (safetensors_count(a->file) == 0) return status_fail(ERR_INPUT, "%s: it holds no tensor", order->file);
    a->claimed = memory_get((size_t)safetensors_count(a->file), sizeof *a->claimed);
    if (second && names_the_second(a)) /* a file that was made for one transformer serves the second as well */
        a->own = prefix_2, a->other = prefix_1;
    TRY(read_settings(a, order->file));
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
        free((*a)->adapter[i].claimed);
        json_decref((*a)->adapter[i].settings);
    }
    backend_close(&(*a)->be);
    free((*a)->adapter);
    free(*a);
    *a = NULL;
}

/* ---- checking ------------------------------------------------------------------------------------------------------------ */

bool adapters_touch(const Adapters *a, const char *tensor)
{
    Term term;
    for (int i = 0; a && i < a->count; i++)
        if (find_term(&a->adapter[i], tensor, &term)) return true;
    return false;
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
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is of type %s, expected F32, BF16, F16 or fp8", t->file,
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
    if (!find_term(a, tensor, &term)) return status_ok();
    const StoredTensor *const used[] = {term.down, term.up, term.alpha, term.bias, term.diff};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        const bool whole = used[i] && used[i] == term.alpha && used[i]->type == STORED_I64; /* as kohya writes it */
        if (used[i] && !whole) TRY(check_numbers(used[i]));
        claim(a, used[i]);
    }
    if (!ends_in(tensor, ".bias")) {
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

/* ---- merging --------------------------------------------------------------------------------------------------------------- */

static float *read_floats(const StoredTensor *t)
{
    float *v = malloc((size_t)stored_count(t) * sizeof *v + 1);
    if (v) stored_to_float(t, 1, v);
    return v;
}

/* Of {"attn1.to_q": 4, ...}: the first that is the module's name or its end, as PEFT takes it. NULL: none. */
static const json_t *alpha_of_module(const json_t *patterns, const char *module)
{
    const char *key;
    json_t *alpha;
    json_object_foreach((json_t *)(uintptr_t)patterns, key, alpha)
    {
        const size_t n = strlen(module), m = strlen(key);
        if (strcmp(module, key) == 0 || (ends_in(module, key) && module[n - m - 1] == '.')) return alpha;
    }
    return NULL;
}

static double read_alpha(const StoredTensor *t)
{
    float number;
    int64_t whole;
    if (t->type == STORED_I64) {
        memcpy(&whole, t->data, sizeof whole);
        return (double)whole;
    }
    stored_to_float(t, 1, &number);
    return number;
}

/* alpha / R, or alpha / sqrt(R) where PEFT was set to "rsLoRA". */
static double rank_scale(const Adapter *a, const Term *term)
{
    const double rank = (double)term->down->dim[0];
    double alpha = rank;
    const json_t *pattern = alpha_of_module(setting(a, "alpha_pattern"), term->module);
    if (term->alpha)
        alpha = read_alpha(term->alpha);
    else if (json_is_number(pattern))
        alpha = json_number_value(pattern);
    else if (json_is_number(setting(a, "lora_alpha")))
        alpha = json_number_value(setting(a, "lora_alpha"));
    return json_is_true(setting(a, "use_rslora")) ? alpha / sqrt(rank) : alpha / rank;
}

/* weight += (factor B) A: B's rows times the packed transpose of A, added where the weight stands. The back end is the processor's, so its
 * tensors are host memory; all its threads take part, and no product of the weight's size is kept. */
static Status add_product(Backend *be, const Term *term, Tensor shape, double factor, float *weight)
{
    const int64_t rank = term->down->dim[0], rows = shape.dim[0], columns = tensor_count(shape) / rows;
    float *down = read_floats(term->down), *up = read_floats(term->up);
    float *turned = malloc((size_t)(rank * columns) * sizeof *turned);
    Linear packed = {0};
    Status status = status_ok();
    ArenaMark mark = backend_mark(be);
    if (!down || !up || !turned)
        TRY_OUT(
            status_fail(ERR_NODE, "out of memory for an adapter of %" PRId64 " x %" PRId64 " numbers", rows, columns));
    for (int64_t c = 0; c < columns; c++)
        for (int64_t r = 0; r < rank; r++) turned[c * rank + r] = down[r * columns + c];
    for (int64_t i = 0; i < rows * rank; i++) up[i] *= (float)factor;
    TRY_OUT(linear_pack(be, tensor_view(turned, F32, 2, (int64_t[]){columns, rank}), (Tensor){0}, &packed));
    op_linear_add(be, tensor_view(weight, F32, 2, (int64_t[]){rows, columns}),
                  tensor_view(up, F32, 2, (int64_t[]){rows, rank}), &packed, (Tensor){0});
    status = backend_status(be);
out:
    backend_release(be, mark);
    linear_free(be, &packed);
    free(down);
    free(up);
    free(turned);
    return status;
}

static Status add_diff(const StoredTensor *diff, double factor, float *weight)
{
    float *v = read_floats(diff);
    if (!v) return status_fail(ERR_NODE, "out of memory for tensor \"%s\"", diff->name);
    const int64_t n = stored_count(diff);
    for (int64_t i = 0; i < n; i++) weight[i] += (float)factor * v[i];
    free(v);
    return status_ok();
}

/* Finite numbers of a file can make an infinite weight, by their product or by the scale. A weight of 1e18 and more is refused, too: the
 * product of two such numbers is infinite. */
static Status check_merged(const char *file, const char *tensor, Tensor shape, const float *weight)
{
    const int64_t count = tensor_count(shape);
    int fit = 1;
    for (int64_t i = 0; i < count; i++) fit &= fabsf(weight[i]) < 1e18f; /* false of NaN, too */
    if (fit) return status_ok();
    return status_fail(ERR_CLIP, /* no other worker would fare better */
                       "%s: merged, it makes numbers of \"%s\" too large or infinite; give a smaller scale, or another "
                       "version of it",
                       file, tensor);
}

Status adapters_apply(Adapters *a, const char *tensor, Tensor shape, float *weight)
{
    const char *last = NULL; /* that changed it */
    Term term;
    for (int i = 0; a && i < a->count; i++) {
        const Adapter *one = &a->adapter[i];
        if (!find_term(one, tensor, &term)) continue;
        if (term.up && !a->be) TRY(backend_open(&(BackendOptions){.kind = BACKEND_CPU, .compute = F32}, &a->be));
        if (term.bias) TRY(add_diff(term.bias, one->scale * rank_scale(one, &term), weight));
        if (term.up) TRY(add_product(a->be, &term, shape, one->scale * rank_scale(one, &term), weight));
        if (term.diff) TRY(add_diff(term.diff, one->scale, weight));
        last = safetensors_at(one->file, 0)->file;
    }
    return last ? check_merged(last, tensor, shape, weight) : status_ok();
}
