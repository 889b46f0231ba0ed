#include "prompts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "worker/render/checkpoint.h"
#include "worker/render/turn.h"

enum { KEPT_BYTES = 64 << 20, MAX_ROWS = 512, MAX_DIM = 1 << 16 };
static const double patience_s = 120; /* with whoever encodes the same: it may be stopped for ever */
static const char magic[] = "reelwright-text 0001\n";

typedef struct Kept {
    struct Kept *next; /* the one used before */
    char key[HASH_TEXT];
    PromptEmbeds p;
} Kept;

struct Prompts {
    Kept *last; /* the one used last */
    int encoded;
    bool told; /* that the folder cannot be used */
};

Prompts *prompts_new(void) { return memory_get(1, sizeof(Prompts)); }

static void kept_free(Kept *k)
{
    prompt_embeds_free(&k->p);
    free(k);
}

void prompts_free(Prompts **t)
{
    if (!*t) return;
    for (Kept *k = (*t)->last, *next; k; k = next) {
        next = k->next;
        kept_free(k);
    }
    free(*t);
    *t = NULL;
}

int prompts_encoded(const Prompts *t) { return t->encoded; }

/* ---- in this process ---------------------------------------------------------------------------------------------------- */

static size_t numbers(const PromptEmbeds *p) { return (size_t)p->count * (size_t)p->dim; }

static PromptEmbeds copy(const PromptEmbeds *p)
{
    PromptEmbeds c = {memory_get(numbers(p), sizeof(float)), p->count, p->dim};
    memcpy(c.rows, p->rows, numbers(p) * sizeof(float));
    return c;
}

/* Moves it to the front. */
static const Kept *find_kept(Prompts *t, const char *key)
{
    for (Kept **at = &t->last; *at; at = &(*at)->next) {
        Kept *k = *at;
        if (strcmp(k->key, key) != 0) continue;
        *at = k->next;
        k->next = t->last;
        return t->last = k;
    }
    return NULL;
}

/* What was used longest ago goes when there is too much. */
static void keep(Prompts *t, const char *key, const PromptEmbeds *p)
{
    Kept *k = memory_get(1, sizeof *k);
    memcpy(k->key, key, sizeof k->key);
    k->p = copy(p);
    k->next = t->last;
    t->last = k;
    size_t bytes = 0;
    for (Kept **at = &t->last; *at;) {
        bytes += numbers(&(*at)->p) * sizeof(float);
        if (bytes <= KEPT_BYTES || *at == k) {
            at = &(*at)->next;
            continue;
        }
        Kept *old = *at;
        *at = old->next;
        kept_free(old);
    }
}

/* ---- in the campaign's folder --------------------------------------------------------------------------------------------- */

typedef struct { /* what stands before the numbers */
    char magic[sizeof magic];
    int32_t count, dim;
} Head;

static Status damaged(const char *path)
{
    return status_fail(ERR_INPUT, "%s: damaged; the text is encoded anew", path);
}

static Status parse(const char *path, const char *bytes, size_t n, int dim, PromptEmbeds *out)
{
    Head h;
    char sum[HASH_TEXT];
    if (n < sizeof h + HASH_TEXT - 1) return damaged(path);
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.count < 1 || h.count > MAX_ROWS || h.dim != dim || dim > MAX_DIM)
        return damaged(path);
    const size_t size = (size_t)h.count * (size_t)h.dim * sizeof(float);
    if (n != sizeof h + size + HASH_TEXT - 1) return damaged(path);
    hash_bytes(bytes, sizeof h + size, sum);
    if (memcmp(bytes + sizeof h + size, sum, HASH_TEXT - 1) != 0) return damaged(path);
    *out = (PromptEmbeds){memory_get(size, 1), h.count, h.dim};
    memcpy(out->rows, bytes + sizeof h, size);
    return status_ok();
}

/* Nothing where there is no sound file. */
static void read_file(const char *path, int dim, PromptEmbeds *out)
{
    char *bytes = NULL;
    size_t n;
    *out = (PromptEmbeds){0};
    if (!file_exists(path)) return;
    Status status =
        file_read(path, sizeof(Head) + (size_t)MAX_ROWS * (size_t)dim * sizeof(float) + HASH_TEXT, &bytes, &n);
    if (!failed(status)) status = parse(path, bytes, n, dim, out);
    if (failed(status)) log_line(LOG_WARNING, "%s", status.message);
    free(bytes);
}

static Status write_draft(const char *draft, const char *bytes, size_t n)
{
    const int f = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f < 0) return status_errno(ERR_NODE, "cannot write %s", draft);
    ssize_t wrote = write(f, bytes, n);
    const bool whole = wrote == (ssize_t)n;
    if (close(f) != 0 || !whole) {
        unlink(draft);
        return status_fail(ERR_NODE, "cannot write %s: no room", draft);
    }
    return status_ok();
}

static Status write_file(const char *path, const PromptEmbeds *p)
{
    Head h = {.count = p->count, .dim = p->dim};
    char sum[HASH_TEXT], *draft = file_draft(path);
    const size_t size = numbers(p) * sizeof(float), n = sizeof h + size + HASH_TEXT - 1;
    char *bytes = memory_get(n, 1);
    memcpy(h.magic, magic, sizeof magic);
    memcpy(bytes, &h, sizeof h);
    memcpy(bytes + sizeof h, p->rows, size);
    hash_bytes(bytes, sizeof h + size, sum);
    memcpy(bytes + sizeof h + size, sum, HASH_TEXT - 1);
    Status status = write_draft(draft, bytes, n);
    if (!failed(status)) status = file_publish(draft, path);
    free(bytes);
    free(draft);
    return status;
}

static void tell_once(Prompts *t, Status status)
{
    if (!t->told) log_line(LOG_WARNING, "%s: texts are not shared among workers", status.message);
    t->told = true;
}

/* ---- both ------------------------------------------------------------------------------------------------------------------ */

typedef struct { /* one call, on the first rank */
    char key[HASH_TEXT];
    char *path; /* NULL: no folder */
    int dim;
    PromptEmbeds *out;
    Turn turn;
} Search;

static bool has_come(void *self)
{
    Search *s = self;
    read_file(s->path, s->dim, s->out);
    return s->out->rows != NULL;
}

static Status search(Prompts *t, const char *folder, Progress waiting, Search *s)
{
    const Kept *k = find_kept(t, s->key);
    if (k) {
        *s->out = copy(&k->p);
        return status_ok();
    }
    if (!folder) return status_ok();
    Status status = file_make_folders(folder);
    if (failed(status)) {
        tell_once(t, status);
        return status_ok();
    }
    chmod(folder, 0700);
    s->path = text_format("%s/%s.text", folder, s->key);
    if (!has_come(s)) TRY(turn_take(s->path, patience_s, has_come, s, waiting, "text", &s->turn));
    if (s->out->rows) keep(t, s->key, s->out);
    return status_ok();
}

/* What the first rank found, on all: nothing, or the rows. */
static Status share(Engine *e, PromptEmbeds *p)
{
    Coll *group = engine_group(e);
    int size[2] = {p->count, p->dim};
    TRY(coll_host_broadcast(group, size, sizeof size, 0));
    if (size[0] == 0) return status_ok();
    if (!p->rows) *p = (PromptEmbeds){memory_get((size_t)size[0] * (size_t)size[1], sizeof(float)), size[0], size[1]};
    return coll_host_broadcast(group, p->rows, numbers(p) * sizeof(float), 0);
}

static void make_key(const Engine *e, const char *model_hash, const char *text, char key[HASH_TEXT])
{
    char kind[CHECKPOINT_KIND];
    Hash *h = hash_begin();
    engine_kind(e, kind, sizeof kind);
    hash_add_field(h, "kind", "%s", kind);
    hash_add_field(h, "model", "%s", model_hash);
    hash_add_field(h, "text", "%s", text);
    hash_end(h, key);
}

Status prompts_encode(Prompts *t, Engine *e, const char *folder, const char *model_hash, const char *text,
                      Progress waiting, PromptEmbeds *out)
{
    Coll *group = engine_group(e);
    Search s = {.dim = engine_config(e)->text.d_model, .out = out, .turn = {.lock = -1}};
    Status status = status_ok();
    *out = (PromptEmbeds){0};
    make_key(e, model_hash, text, s.key);
    if (group->rank == 0) status = search(t, folder, waiting, &s);
    TRY_OUT(coll_agree(group, status));
    TRY_OUT(share(e, out));
    if (out->rows) goto out;
    TRY_OUT(engine_encode(e, text, "text", NULL, out));
    t->encoded++;
    if (group->rank == 0) {
        keep(t, s.key, out);
        Status wrote = s.path ? write_file(s.path, out) : status_ok();
        if (failed(wrote)) tell_once(t, wrote);
    }
out:
    turn_end(&s.turn);
    free(s.path);
    if (failed(status)) prompt_embeds_free(out);
    return status;
}
