/* proofs.c - the campaign's keys gates, watermark and credentials: checked, and written into the finish document (worker/proof/prove.h reads
 * them). */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/gate_set.h"
#include "coordinator/campaign/licence.h"
#include "coordinator/campaign/load.h"
#include "trust/certificate.h"

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
        set_bound(f, gate, i, "again", f->gate[i].again);
        if (json_object_size(gate)) json_object_set(all, gate_names[i], gate);
        json_decref(gate);
    }
    return all;
}

static void check_only_holds(CampaignLoad *l, const char *gate)
{
    static const char *const bound[] = {"hold", "fail", "fail_low"};
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++) {
        char *key = text_format("gates.%s.%s", gate, bound[i]);
        if (campaign_file_has(&l->file, key))
            faults_add(l->faults, campaign_place(l, key), "expected gates.%s.hold_low: %s", gate,
                       "a clip that looks like another is held, or rendered again");
        free(key);
    }
}

static void check_gates(CampaignLoad *l)
{
    char *text = NULL;
    const char *set = set_name(&l->file);
    if (!set) return;
    Status status = gate_set_json(gate_set_list(), set, &text);
    if (failed(status))
        faults_add(l->faults, campaign_place(l, l->file.gates_set ? "gates.set" : "gates"), "%s", status.message);
    free(text);
    if (!set_name(&l->file) && (l->file.gates_measure || l->file.gates_index))
        faults_add(l->faults, campaign_place(l, l->file.gates_measure ? "gates.measure" : "gates.index"),
                   "without gates.set; expected which gates, default or brand");
    for (int i = 0; i < GATE_COUNT; i++) {
        char *key = text_format("gates.%s.again", gate_names[i]);
        if (campaign_file_has(&l->file, key) && l->file.gate[i].again > 0 && !gate_is_of_shot(i))
            faults_add(l->faults, campaign_place(l, key),
                       "expected none: %s measures what finishing adds, which another seed does not change",
                       gate_names[i]);
        free(key);
        if (gate_only_holds(i)) check_only_holds(l, gate_names[i]);
    }
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
        faults_add(l->faults, campaign_place(l, key),
                   "%s: no such file; `reelwright keys init DIR` makes one to try things with", file);
    free(path);
}

/* Of the whole chain. A clip that nobody can sign fails when it is finished: that is said before. */
static bool check_dates(CampaignLoad *l)
{
    char *certificate = find_file(l, l->file.certificate), *soon = NULL;
    const Place place = campaign_place(l, "credentials.certificate");
    Status status = certificate ? trust_check_dates(certificate, &soon) : status_ok();
    if (failed(status)) faults_add(l->faults, place, "%s", status.message);
    if (soon) faults_warn(l->faults, place, "", "%s", soon);
    free(soon);
    free(certificate);
    return !failed(status);
}

/* A key of another certificate signs, and no reader takes what it has signed. */
static void check_fits(CampaignLoad *l)
{
    static const char probe[] = "reelwright check";
    char *certificate = find_file(l, l->file.certificate), *key = find_file(l, l->file.signing_key), *seal = NULL;
    if (certificate && key) {
        Status status = trust_seal(key, probe, sizeof probe, &seal);
        const bool sealed = !failed(status);
        if (sealed) status = trust_check_seal(certificate, probe, sizeof probe, seal);
        if (failed(status))
            faults_add(l->faults, campaign_place(l, "credentials.key"), "%s%s", status.message,
                       sealed ? "; expected the key of credentials.certificate" : "");
    }
    free(seal);
    free(certificate);
    free(key);
}

void campaign_check_proofs(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    check_gates(l);
    const char *signs = f->signing_key ? "credentials.key" : "credentials.signer";
    if (!f->certificate != !(f->signing_key || f->signer))
        faults_add(l->faults, campaign_place(l, f->certificate ? "credentials.certificate" : signs),
                   "expected a certificate and a key (or a signer), both or none of them");
    if (f->signing_key && f->signer)
        faults_add(l->faults, campaign_place(l, "credentials.signer"),
                   "there is a credentials.key, too; expected one of them");
    if (f->certificate) check_file(l, "credentials.certificate", f->certificate);
    if (f->signing_key) check_file(l, "credentials.key", f->signing_key);
    if (f->certificate && check_dates(l) && f->signing_key) check_fits(l);
}

/* Of an adapter that the campaign names, by its file's name; false: none is called so. */
static bool hash_adapter(const CampaignLoad *l, const char *part, char hash[HASH_TEXT])
{
    static const char prefix[] = "lora ";
    const CampaignLora *lora = l->file.loras.item;
    for (int i = 0; i < l->file.loras.count && strncmp(part, prefix, sizeof prefix - 1) == 0; i++) {
        const char *name = lora[i].file ? path_name(lora[i].file) : "";
        if (strncmp(name, part + sizeof prefix - 1, strlen(part + sizeof prefix - 1)) != 0) continue;
        char *path = path_join(l->campaign->folder, lora[i].file);
        const bool hashed = !failed(hash_file(path, hash));
        free(path);
        return hashed;
    }
    return false;
}

/* What made the pictures, for the credentials: [{"part", "name", "sha256", "licence"}]. */
static json_t *model_parts(const CampaignLoad *l)
{
    json_t *list = json_array();
    LicenceParts parts;
    licence_read_campaign(l, &parts);
    for (int i = 0; i < parts.count; i++) {
        const LicencePart *p = &parts.part[i];
        char hash[HASH_TEXT];
        json_t *one = json_pack("{s:s, s:s}", "part", p->part, "name", path_name(l->campaign->model_folder));
        char *folder = path_join(l->campaign->model_folder, p->part);
        if (file_is_folder(folder) ? !failed(model_config_hash_part(l->campaign->model_folder, p->part, hash))
                                   : hash_adapter(l, p->part, hash))
            json_object_set_new(one, "sha256", json_string(hash));
        if (*p->licence) json_object_set_new(one, "licence", json_string(p->licence));
        json_array_append_new(list, one);
        free(folder);
    }
    licence_clear_parts(&parts);
    return list;
}

static json_t *signing(const CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    char *certificate = find_file(l, f->certificate), *key = f->signing_key ? find_file(l, f->signing_key) : NULL;
    json_t *j = json_pack("{s:s}", "certificate", certificate ? certificate : "");
    json_object_set_new(j, f->signer ? "signer" : "key", json_string(f->signer ? f->signer : key ? key : ""));
    if (f->timestamp && strcmp(f->timestamp, "none") != 0)
        json_object_set_new(j, "timestamp", json_string(f->timestamp));
    free(certificate);
    free(key);
    return j;
}

void campaign_add_proofs(const CampaignLoad *l, json_t *keys)
{
    const CampaignFile *f = &l->file;
    const char *set = set_name(f);
    const bool signs = f->certificate && (f->signing_key || f->signer);
    if (set) json_object_set_new(keys, "gates", gate_bounds(f, set));
    if (set && f->gates_measure) json_object_set_new(keys, "measure", json_string(f->gates_measure));
    if (set && f->gates_index) {
        char *index = path_join(l->campaign->folder, f->gates_index), *real = realpath(index, NULL);
        json_object_set_new(keys, "looks", json_string(real ? real : index));
        free(index);
        free(real);
    }
    if (f->watermark) json_object_set_new(keys, "watermark", json_true());
    if (signs) json_object_set_new(keys, "credentials", signing(l));
    if (signs) json_object_set_new(keys, "model", model_parts(l));
    if (f->watermark || signs || (set && f->gates_index))
        json_object_set_new(keys, "campaign", json_string(f->campaign));
}
