/* proofs.c - the campaign's keys gates, watermark and credentials: checked, and written into the finish document (worker/proof/prove.h reads
 * them). */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/gate_set.h"
#include "coordinator/campaign/load.h"

static Place place_of(const CampaignLoad *l, const char *key)
{
    return (Place){l->campaign->file, campaign_file_line(&l->file, key), key};
}

/* ---- gates ---- */

static const char *set_name(const CampaignFile *f)
{
    const char *name = f->gates_set ? f->gates_set : f->gates;
    return name && strcmp(name, "none") != 0 ? name : NULL;
}

#define NAME(name, unit, about) #name,
static const char *const gate_names[] = {GATES_LIST(NAME)};
#undef NAME

static void set_bound(const CampaignFile *f, json_t *gate, int i, const char *bound, double value)
{
    char *key = text_format("gates.%s.%s", gate_names[i], bound);
    if (campaign_file_has(f, key)) json_object_set_new(gate, bound, json_real(value));
    free(key);
}

/* The named set, with what the campaign says otherwise. */
static json_t *gate_bounds(const CampaignFile *f, const char *set)
{
    char *text = NULL;
    if (failed(gate_set_json(gate_set_list(), set, &text))) return NULL;
    json_t *all = json_loads(text, 0, NULL);
    free(text);
    for (int i = 0; i < GATE_COUNT; i++) {
        json_t *known = json_object_get(all, gate_names[i]), *gate = known ? json_incref(known) : json_object();
        set_bound(f, gate, i, "hold", f->gate[i].hold);
        set_bound(f, gate, i, "fail", f->gate[i].fail);
        set_bound(f, gate, i, "hold_low", f->gate[i].hold_low);
        set_bound(f, gate, i, "fail_low", f->gate[i].fail_low);
        if (json_object_size(gate)) json_object_set(all, gate_names[i], gate);
        json_decref(gate);
    }
    return all;
}

static void check_gates(CampaignLoad *l)
{
    char *text = NULL;
    const char *set = set_name(&l->file);
    if (!set) return;
    Status status = gate_set_json(gate_set_list(), set, &text);
    if (failed(status))
        faults_add(l->faults, place_of(l, l->file.gates_set ? "gates.set" : "gates"), "%s", status.message);
    free(text);
}

/* ---- credentials ---- */

/* Absolute; NULL: not there. */
static char *find_file(const CampaignLoad *l, const char *file)
{
    char *path = path_join(l->campaign->folder, file), *real = realpath(path, NULL);
    free(path);
    return real;
}

static void check_file(CampaignLoad *l, const char *key, const char *file)
{
    char *path = find_file(l, file);
    if (!path)
        faults_add(l->faults, place_of(l, key),
                   "%s: no such file; `reelwright keys init DIR` makes one to try things with", file);
    free(path);
}

void campaign_check_proofs(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    check_gates(l);
    if (!f->certificate != !f->signing_key)
        faults_add(l->faults, place_of(l, f->certificate ? "credentials.certificate" : "credentials.key"),
                   "expected a certificate and a key, both or none of them");
    if (f->certificate) check_file(l, "credentials.certificate", f->certificate);
    if (f->signing_key) check_file(l, "credentials.key", f->signing_key);
}

void campaign_add_proofs(const CampaignLoad *l, json_t *keys)
{
    const CampaignFile *f = &l->file;
    const char *set = set_name(f);
    if (set) json_object_set_new(keys, "gates", gate_bounds(f, set));
    if (f->watermark) json_object_set_new(keys, "watermark", json_true());
    if (f->certificate && f->signing_key) {
        char *certificate = find_file(l, f->certificate), *key = find_file(l, f->signing_key);
        json_t *j = json_pack("{s:s, s:s}", "certificate", certificate ? certificate : "", "key", key ? key : "");
        if (f->timestamp && strcmp(f->timestamp, "none") != 0)
            json_object_set_new(j, "timestamp", json_string(f->timestamp));
        json_object_set_new(keys, "credentials", j);
        free(certificate);
        free(key);
    }
    if (f->watermark || (f->certificate && f->signing_key))
        json_object_set_new(keys, "campaign", json_string(f->campaign));
}
