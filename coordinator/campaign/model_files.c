#include "model_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"

enum {
    LEAST_BYTES = 400,  /* shorter prompts fit: most tokens have two letters and more */
    MOST_COUNTED = 5000 /* prompts, at 1 ms each */
};

static const ModelProbe *probe;

void campaign_use_probe(const ModelProbe *p) { probe = p; }

/* ---- weights ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Adapters lie in the folder's root, or in transformer/ beside the weights, when somebody means them to be used. */
static void warn_of_adapters(CampaignLoad *l, const char *folder, bool root)
{
    const Place place = campaign_place(l, "model");
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const bool adapter = strcasestr(e->d_name, "lora") || strcasestr(e->d_name, "adapter");
        if (!ends_with(e->d_name, ".safetensors") || (!root && !adapter)) continue;
        faults_warn(l->faults, place, "", "%s/%s lies beside the model's weights and is not used%s", folder, e->d_name,
                    adapter ? "; an adapter is named by `loras:`" : "");
    }
    if (d) closedir(d);
}

void campaign_model_check(CampaignLoad *l)
{
    static const char *const part[] = {"transformer", "transformer_2"};
    const Campaign *c = l->campaign;
    const Place place = campaign_place(l, "model");
    if (!c->model) return;
    Status status = probe ? probe->open(c->model_folder, &l->probe) : status_ok();
    if (failed(status)) faults_add(l->faults, place, "%s", status.message);
    warn_of_adapters(l, c->model_folder, true);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        char *folder = path_join(c->model_folder, part[i]);
        warn_of_adapters(l, folder, false);
        free(folder);
    }
}

void campaign_model_close(CampaignLoad *l)
{
    if (l->probe) probe->close(&l->probe);
}

Status campaign_model_adapter(const CampaignLoad *l, const char *file, const char *expert)
{
    Status status = l->probe ? probe->adapter(l->probe, file, expert) : status_ok();
    const size_t n = strlen(file);
    if (failed(status) && strncmp(status.message, file, n) == 0 && strncmp(status.message + n, ": ", 2) == 0)
        return status_fail(status.err, "%s", status.message + n + 2);
    return status;
}

/* ---- prompts ---- */

typedef struct {
    char read[HASH_TEXT]; /* of the tokens that the model reads */
    UT_hash_handle hh;
} Cut;

typedef struct {
    int64_t row; /* the first that is too long, -1: none */
    int tokens;  /* of it */
    int64_t shots, same, counted;
    Cut *cut;
} Long;

static bool is_long(const CampaignLoad *l, const char *text, int *tokens, char read[HASH_TEXT])
{
    return strlen(text) >= LEAST_BYTES && !failed(probe->tokens(l->probe, text, tokens, read)) &&
           *tokens > probe->most_tokens;
}

static void look_at_shot(const CampaignLoad *l, int64_t row, const ShotSpec *s, Long *found)
{
    char read[HASH_TEXT];
    int tokens;
    if (strlen(s->prompt) < LEAST_BYTES || found->counted++ >= MOST_COUNTED || !is_long(l, s->prompt, &tokens, read))
        return;
    if (found->row < 0) {
        found->row = row;
        found->tokens = tokens;
    }
    found->shots++;
    Cut *known, *fresh = memory_get(1, sizeof *fresh);
    memcpy(fresh->read, read, HASH_TEXT);
    HASH_FIND_STR(found->cut, read, known);
    if (known) {
        found->same++;
        free(fresh);
    } else {
        HASH_ADD_STR(found->cut, read, fresh);
    }
}

static void warn_of_prompts(CampaignLoad *l, const Long *found)
{
    const Campaign *c = l->campaign;
    const int column = template_first_column(l->prompt);
    const Place place = column < 0
                            ? campaign_place(l, "prompt")
                            : (Place){c->customers_file, c->customers.line[found->row], c->customers.column[column]};
    char others[96] = "", same[128] = "";
    if (found->shots > 1)
        snprintf(others, sizeof others, "; %lld more prompt%s too long", (long long)found->shots - 1,
                 found->shots > 2 ? "s are" : " is");
    if (found->same > 0)
        snprintf(same, sizeof same,
                 "; %lld of them read%s the same to the model as another one, and %s rendered for nothing",
                 (long long)found->same, found->same > 1 ? "" : "s", found->same > 1 ? "are" : "is");
    faults_warn(l->faults, place, c->clip[found->row].clip_id,
                "the prompt has %s%d tokens; the model reads the first %d and never sees the rest%s%s",
                found->tokens >= 4 * probe->most_tokens ? "more than " : "", found->tokens, probe->most_tokens, others,
                same);
}

void campaign_model_warn(CampaignLoad *l)
{
    const Campaign *c = l->campaign;
    Long found = {.row = -1};
    char read[HASH_TEXT];
    int tokens;
    if (!l->probe) return;
    for (int64_t row = 0, seen = 0; row < c->clip_count; row++) { /* shots are in the order of their first rows */
        if (c->clip[row].shot != seen) continue;
        look_at_shot(l, row, &c->shot[seen++].spec, &found);
    }
    if (found.row >= 0) warn_of_prompts(l, &found);
    if (c->shot_count && is_long(l, c->shot[0].spec.negative, &tokens, read))
        faults_warn(l->faults, campaign_place(l, "negative"), "",
                    "the negative prompt has %d tokens; the model reads the first %d and never sees the rest", tokens,
                    probe->most_tokens);
    Cut *one, *next;
    HASH_ITER(hh, found.cut, one, next)
    {
        HASH_DEL(found.cut, one);
        free(one);
    }
}
