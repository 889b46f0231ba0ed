/* schema.h - the keys of a campaign file, in one table: type, range, default, unit, meaning. configs/campaign.reference.yaml documents the same keys for the user; a test holds the two
 * together. */
#ifndef REELWRIGHT_CAMPAIGN_SCHEMA_H
#define REELWRIGHT_CAMPAIGN_SCHEMA_H

#include <jansson.h>

#include "common/gates.h"
#include "coordinator/campaign/settings.h"
#include "coordinator/campaign/yaml_fields.h"

enum { CAMPAIGN_MAX_KEYS = 320, CAMPAIGN_MAX_NAME_BYTES = 100 };

typedef struct { /* one adapter of `loras` */
    int line;
    char *file; /* a template */
    double scale;
    char expert[YAML_CHOICE_BYTES];
} CampaignLora;

typedef struct { /* one item of `overlays` */
    int line;
    char *text, *image, *qr; /* templates; one of them */
    char place[YAML_CHOICE_BYTES], *style;
    double from, to, fade, scale;
} CampaignOverlay;

typedef struct {
    char *text, *ssml, *language, *file, *phonetic; /* templates */
    char *engine, *voice, *lexicon, *card;
    char too_long[YAML_CHOICE_BYTES];
    double at, gain_db, time_limit, longest;
    int retries;
    bool engine_given;
} CampaignVoice;

typedef struct {
    char *file; /* a template */
    double gain_db, duck_db;
} CampaignMusic;

typedef struct {
    char *text; /* a template */
    char *reason;
    char profile[YAML_CHOICE_BYTES], position[YAML_CHOICE_BYTES];
    bool profile_given;
} CampaignLabel;

typedef struct
{ /* what the file says; a text is NULL and a number 0 where it says nothing and the key has no default */
    char *campaign, *model, *customers, *id, *encoding, *prompt, *negative, *seed;
    char *image, *last_image, *control_video, *control_mask; /* templates */
    char *cameo_id, *cameo_purpose, *cameo_for;              /* templates */
    char *retention;
    char *trust, *brand, *operator_territory, *licence_reason;
    char *deadline, *max_fails, *webhook, *command, *secret_file;
    int size[2]; /* width, height */
    int frames, fps, steps, priority, pilot, checkpoint_every;
    int limit_s[STAGE_COUNT];
    double guidance, guidance_2, flow_shift;
    char scheduler[YAML_CHOICE_BYTES], sigmas[YAML_CHOICE_BYTES];
    YamlWords renditions, events, references, control_scale, audience, licence_accept;
    YamlTables loras; /* of CampaignLora */
    int cameo_pictures;
    int trunk_steps;
    char *trunk_prompt; /* a template */
    double guided_from, guided_to;
    char *cache; /* "none", or a file */
    bool reuse_shots, reuse_mixed, keep_masters, cameo_face, cameo_voice, operator_commercial;
    double operator_revenue_usd; /* negative: not given */
    CampaignVoice voice;
    CampaignMusic music;
    CampaignLabel label;
    YamlTables overlays; /* of CampaignOverlay */
    YamlPairs variants;
    char *styles, *page;
    char *deliver_upload, *deliver_webhook, *deliver_suppress;
    YamlWords suppress_by;
    double upload_limit_s;
    int upload_retries, upload_parallel;
    char subtitles[YAML_CHOICE_BYTES];
    char *gates_measure, *gates_index;
    char *gates, *gates_set;     /* the same, in a word or in a table */
    GateBounds gate[GATE_COUNT]; /* where campaign_file_has("gates.NAME.hold") and so on */
    bool watermark, review_four_eyes;
    char *certificate, *signing_key, *signer, *timestamp;
    char credentials[YAML_CHOICE_BYTES], review[YAML_CHOICE_BYTES], review_policy[YAML_CHOICE_BYTES];
    double review_lq, review_aql;
    char *review_series;
    int line[CAMPAIGN_MAX_KEYS]; /* of each key of the table; 0 = not given, negative = its value is refused */
} CampaignFile;

const YamlField *campaign_schema(int *count);
/* Reads `text` and adds what is wrong to faults; false when it is no YAML table at all. campaign_file_clear(out) in
 * every case. */
bool campaign_file_parse(const char *file, const char *text, size_t bytes, Faults *faults, CampaignFile *out);
void campaign_file_clear(CampaignFile *c);
/* Into a finish document (common/finish_spec.h): the values of the keys of this group, "voice.", that have .finish, under the last part of
 * each name; of an overlay likewise. Values that are the customer's, templates, are not among them. */
void campaign_file_finish(const CampaignFile *c, const char *group, json_t *to);
void campaign_overlay_finish(const CampaignOverlay *o, json_t *to);
/* Line of a key of the table, 0 when the file does not give it. */
int campaign_file_line(const CampaignFile *c, const char *key);
bool campaign_file_has(const CampaignFile *c, const char *key); /* it is given, and not refused */

#endif
