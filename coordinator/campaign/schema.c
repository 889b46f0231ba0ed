#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/foreign.h"

#define TO(member) .to = offsetof(CampaignFile, member)

static const YamlField lora[] = {
    {"file", YAML_TEXT, .to = offsetof(CampaignLora, file), .required = true, .help = "a LoRA file, safetensors"},
    {"scale", YAML_NUMBER, .to = offsetof(CampaignLora, scale), .min = -100, .max = 100, .fallback = "1",
     .help = "how strongly it acts"},
    {"expert", YAML_CHOICE, .to = offsetof(CampaignLora, expert), .words = "both|high|low", .fallback = "both",
     .help = "which transformer of two"},
};

#define OVERLAY(member) .to = offsetof(CampaignOverlay, member)
static const YamlField overlay[] = {
    {"text", YAML_TEXT, OVERLAY(text), .help = "what is written"},
    {"image", YAML_TEXT, OVERLAY(image), .help = "a picture file"},
    {"qr", YAML_TEXT, OVERLAY(qr), .help = "what a code says"},
    {"place", YAML_CHOICE, OVERLAY(place), .finish = true,
     .words = "lower-third|top-left|top|top-right|left|centre|right|bottom-left|bottom|bottom-right|end-card",
     .fallback = "lower-third", .help = "where it stands"},
    {"style", YAML_TEXT, OVERLAY(style), .fallback = "plain", .help = "how a text looks"},
    {"from", YAML_NUMBER, OVERLAY(from), .finish = true, .min = -3600, .max = 3600, .fallback = "0", .unit = "seconds",
     .help = "when it comes"},
    {"to", YAML_NUMBER, OVERLAY(to), .finish = true, .min = 0, .max = 3600, .fallback = "0", .unit = "seconds",
     .help = "when it goes"},
    {"fade", YAML_NUMBER, OVERLAY(fade), .finish = true, .min = 0, .max = 10, .fallback = "0.25", .unit = "seconds",
     .help = "how long that takes"},
    {"scale", YAML_NUMBER, OVERLAY(scale), .finish = true, .min = 0, .max = 2, .fallback = "0",
     .help = "share of the shorter side"},
};

/* Ranges are those that hold for any model; what one model can render, it says itself (model_config_check_shot). */
#define GATE_KEY(name, bound)                                                                                          \
    {"gates." #name "." #bound,    YAML_NUMBER, TO(gate[GATE_##name].bound), .min = -1e6, .max = 1e6,                  \
     .help = "a bound of the gate"},
#define GATE_AGAIN(name)                                                                                               \
    {"gates." #name ".again",     YAML_NUMBER,                                                                         \
     TO(gate[GATE_##name].again), .min = 0,                                                                            \
     .max = GATE_MAX_AGAIN,       .help = "renders with another seed"},
#define GATE_KEYS(name, unit, about)                                                                                   \
    GATE_KEY(name, hold) GATE_KEY(name, fail) GATE_KEY(name, hold_low) GATE_KEY(name, fail_low) GATE_AGAIN(name)

static const YamlField schema[] = {
    {"campaign", YAML_TEXT, TO(campaign), .filled = true, .required = true, .help = "the campaign's name"},
    {"model", YAML_TEXT, TO(model), .filled = true, .required = true,
     .help = "the model's folder, relative to this file"},
    {"customers", YAML_TEXT, TO(customers), .filled = true, .required = true,
     .help = "a CSV or JSON Lines file, relative to this file"},
    {"id", YAML_TEXT, TO(id), .filled = true, .fallback = "id", .help = "the column that tells the customers apart"},
    {"encoding", YAML_TEXT, TO(encoding), .filled = true, .fallback = "auto",
     .help = "of the customers file, windows-1252 for example"},
    {"prompt", YAML_TEXT, TO(prompt), .filled = true, .required = true,
     .help = "what the clip shows, with {{columns}} of the customers"},
    {"negative", YAML_TEXT, TO(negative), .help = "what it must not show"},
    {"seed", YAML_TEXT, TO(seed), .filled = true, .help = "a whole number or {{column}}"},
    {"size", YAML_SIZE, TO(size), .min = 16, .max = 8192, .unit = "pixels", .help = "width and height of the render"},
    {"frames", YAML_INTEGER, TO(frames), .min = 1, .max = 65536, .words = "voice", .unit = "frames",
     .help = "length of the clip"},
    {"fps", YAML_INTEGER, TO(fps), .min = 1, .max = 240, .unit = "frames per second", .help = "speed of the clip"},
    {"steps", YAML_INTEGER, TO(steps), .min = 1, .max = 1000, .unit = "steps", .help = "denoising steps"},
    {"guidance", YAML_NUMBER, TO(guidance), .min = 0, .max = 100, .help = "how closely to follow the prompt"},
    {"guidance_2", YAML_NUMBER, TO(guidance_2), .min = 0, .max = 100,
     .help = "the same for a model's second transformer"},
    {"flow_shift", YAML_NUMBER, TO(flow_shift), .min = 1e-3, .max = 1e3, .help = "shift of the sigma schedule"},
    {"scheduler", YAML_CHOICE, TO(scheduler), .words = "unipc|euler|lcm", .help = "the solver"},
    {"sigmas", YAML_CHOICE, TO(sigmas), .words = "standard|classic|distilled", .help = "the grid of noise levels"},
    {"image", YAML_TEXT, TO(image), .none = true, .help = "a picture file: the first frame"},
    {"last_image", YAML_TEXT, TO(last_image), .none = true, .help = "a picture file: the last frame"},
    {"references", YAML_WORDS, TO(references), .none = true, .help = "picture files of what shall be in the clip"},
    {"control.video", YAML_TEXT, TO(control_video), .none = true,
     .help = "a video, or a folder of pictures, that the clip follows"},
    {"control.mask", YAML_TEXT, TO(control_mask), .none = true, .help = "the same, white where the clip is made anew"},
    {"control.scale", YAML_WORDS, TO(control_scale), .fallback = "1", .help = "how strictly it is followed"},
    {"loras", YAML_TABLES, TO(loras), .item = lora, .item_count = sizeof lora / sizeof *lora,
     .item_bytes = sizeof(CampaignLora), .fallback = "none", .help = "adapters of the model"},
    {"priority", YAML_INTEGER, TO(priority), .min = -100, .max = 100, .fallback = "0", .help = "higher goes first"},
    {"renditions", YAML_WORDS, TO(renditions), .fallback = "reels", .help = "formats to deliver"},
    {"checkpoint.every", YAML_INTEGER, TO(checkpoint_every), .min = 1, .max = 1000, .words = "auto", .fallback = "auto",
     .unit = "steps", .help = "how often latents are saved"},
    {"reuse.shots", YAML_SWITCH, TO(reuse_shots), .fallback = "true",
     .help = "rows that need the same render share it"},
    {"keep_masters", YAML_SWITCH, TO(keep_masters), .fallback = "false",
     .help = "the lossless frames of each shot stay in DIR/masters"},
    {"reuse.mixed", YAML_SWITCH, TO(reuse_mixed), .fallback = "false",
     .help = "another kind of processor may go on with a shot"},
    {"reuse.trunk_steps", YAML_INTEGER, TO(trunk_steps), .max = 999, .fallback = "0", .unit = "steps",
     .help = "steps that all variants share"},
    {"reuse.trunk_prompt", YAML_TEXT, TO(trunk_prompt), .help = "what the shared steps are told"},
    {"reuse.cache", YAML_TEXT, TO(cache), .fallback = "none", .help = "a file that `reelwright calibrate` wrote"},
    {"reuse.guided_from", YAML_NUMBER, TO(guided_from), .min = 0, .max = 1, .fallback = "1", .unit = "sigma",
     .help = "the noise level at which guidance begins"},
    {"reuse.guided_to", YAML_NUMBER, TO(guided_to), .min = 0, .max = 1, .fallback = "0", .unit = "sigma",
     .help = "the noise level at which guidance ends"},
    {"pilot", YAML_INTEGER, TO(pilot), .max = 1000, .fallback = "0", .unit = "clips",
     .help = "clips to approve before the batch"},
    {"deadline", YAML_TEXT, TO(deadline), .fallback = "none", .help = "a time of day, 06:00, or 2026-01-31 06:00"},
    {"max_fails", YAML_TEXT, TO(max_fails), .fallback = "none", .help = "how many clips may fail, 20 or 5%"},
    {"limits.load", YAML_INTEGER, TO(limit_s[STAGE_LOAD]), .min = 1, .max = 604800, .words = "auto", .fallback = "auto",
     .unit = "seconds", .help = "for loading the model"},
    {"limits.text", YAML_INTEGER, TO(limit_s[STAGE_TEXT]), .min = 1, .max = 604800, .words = "auto", .fallback = "auto",
     .unit = "seconds", .help = "for encoding the prompt"},
    {"limits.denoise", YAML_INTEGER, TO(limit_s[STAGE_DENOISE]), .min = 1, .max = 604800, .words = "auto",
     .fallback = "auto", .unit = "seconds", .help = "for one denoising step"},
    {"limits.decode", YAML_INTEGER, TO(limit_s[STAGE_DECODE]), .min = 1, .max = 604800, .words = "auto",
     .fallback = "auto", .unit = "seconds", .help = "for decoding one latent frame"},
    {"limits.finish", YAML_INTEGER, TO(limit_s[STAGE_FINISH]), .min = 1, .max = 604800, .words = "auto",
     .fallback = "auto", .unit = "seconds", .help = "for finishing one clip"},
    {"notify.webhook", YAML_TEXT, TO(webhook), .filled = true, .fallback = "none",
     .help = "an address, https://..., that events are posted to"},
    {"notify.secret_file", YAML_TEXT, TO(secret_file), .filled = true, .fallback = "none",
     .help = "a file with the key that signs them"},
    {"notify.command", YAML_TEXT, TO(command), .filled = true, .fallback = "none",
     .help = "a shell command that reads an event on stdin"},
    {"notify.events", YAML_WORDS, TO(events), .help = "events to tell of"},
    {"deliver.upload", YAML_TEXT, TO(deliver_upload), .filled = true, .fallback = "none",
     .help = "a shell command that reads a clip's files on stdin"},
    {"deliver.time_limit", YAML_NUMBER, TO(upload_limit_s), .min = 0.1, .max = 86400, .fallback = "600",
     .unit = "seconds", .help = "for one upload"},
    {"deliver.retries", YAML_INTEGER, TO(upload_retries), .max = 20, .fallback = "3", .help = "after a failure"},
    {"deliver.parallel", YAML_INTEGER, TO(upload_parallel), .min = 1, .max = 64, .fallback = "4",
     .help = "uploads at once"},
    {"deliver.webhook", YAML_TEXT, TO(deliver_webhook), .fallback = "none",
     .help = "an address that is told of each delivered clip"},
    {"deliver.suppress", YAML_TEXT, TO(deliver_suppress), .filled = true, .fallback = "none",
     .help = "a file of ids and addresses that get nothing"},
    {"deliver.suppress_by", YAML_WORDS, TO(suppress_by), .none = true, .help = "more columns that it may name"},
    {"cameo.id", YAML_TEXT, TO(cameo_id), .filled = true, .help = "whose likeness, a template"},
    {"cameo.purpose", YAML_TEXT, TO(cameo_purpose), .filled = true, .help = "what for, as their consent says it"},
    {"cameo.for", YAML_TEXT, TO(cameo_for), .filled = true, .help = "who is shown it; the row's id"},
    {"cameo.face", YAML_SWITCH, TO(cameo_face), .fallback = "true", .help = "their face is shown"},
    {"cameo.voice", YAML_SWITCH, TO(cameo_voice), .fallback = "false", .help = "their voice is used"},
    {"cameo.pictures", YAML_INTEGER, TO(cameo_pictures), .min = 1, .max = 8, .fallback = "1",
     .help = "pictures of the face that a model with references gets"},
    {"trust", YAML_TEXT, TO(trust), .filled = true, .none = true, .help = "the trust store's folder"},
    {"brand", YAML_TEXT, TO(brand), .filled = true, .none = true, .help = "who speaks"},
    {"audience", YAML_WORDS, TO(audience), .help = "the countries where it is shown"},
    {"retention", YAML_TEXT, TO(retention), .fallback = "none", .help = "how long personal data are kept, 30d"},
    {"operator.territory", YAML_TEXT, TO(operator_territory), .none = true, .help = "the country of who makes it"},
    {"operator.revenue_usd", YAML_NUMBER, TO(operator_revenue_usd), .max = 1e15, .unit = "USD",
     .help = "their yearly revenue"},
    {"operator.commercial", YAML_SWITCH, TO(operator_commercial), .fallback = "true",
     .help = "they earn money with it"},
    {"licence.accept", YAML_WORDS, TO(licence_accept), .help = "licences to use in spite of what check finds"},
    {"licence.reason", YAML_TEXT, TO(licence_reason), .help = "why they may be used"},
    {"voice.text", YAML_TEXT, TO(voice.text), .group_none = true, .help = "what is said"},
    {"voice.ssml", YAML_TEXT, TO(voice.ssml), .group_none = true, .help = "the same as SSML"},
    {"voice.language", YAML_TEXT, TO(voice.language), .group_none = true, .help = "its language"},
    {"voice.engine", YAML_TEXT, TO(voice.engine), .finish = true, .group_none = true, .fallback = "espeak",
     .help = "espeak, or a shell command"},
    {"voice.voice", YAML_TEXT, TO(voice.voice), .finish = true, .none = true, .group_none = true,
     .help = "which of the engine's voices"},
    {"voice.card", YAML_TEXT, TO(voice.card), .none = true, .group_none = true,
     .help = "what says the engine's licences"},
    {"voice.file", YAML_TEXT, TO(voice.file), .none = true, .group_none = true, .help = "a recording"},
    {"voice.phonetic", YAML_TEXT, TO(voice.phonetic), .group_none = true, .help = "how it is pronounced"},
    {"voice.lexicon", YAML_TEXT, TO(voice.lexicon), .none = true, .group_none = true,
     .help = "a CSV file of word and say"},
    {"voice.at", YAML_NUMBER, TO(voice.at), .finish = true, .group_none = true, .min = 0, .max = 3600,
     .fallback = "0.3", .unit = "seconds", .help = "when it begins"},
    {"voice.gain_db", YAML_NUMBER, TO(voice.gain_db), .finish = true, .group_none = true, .min = -60, .max = 20,
     .fallback = "0", .unit = "dB", .help = "how loud in the mix"},
    {"voice.too_long", YAML_CHOICE, TO(voice.too_long), .finish = true, .group_none = true,
     .words = "faster|hold|refuse", .fallback = "faster", .help = "what happens then"},
    {"voice.longest", YAML_NUMBER, TO(voice.longest), .group_none = true, .min = 1, .max = 600, .fallback = "30",
     .unit = "seconds", .help = "of a clip whose frames follow the voice"},
    {"voice.time_limit", YAML_NUMBER, TO(voice.time_limit), .finish = true, .group_none = true, .min = 0.1, .max = 3600,
     .fallback = "60", .unit = "seconds", .help = "for one text"},
    {"voice.retries", YAML_INTEGER, TO(voice.retries), .finish = true, .group_none = true, .max = 20, .fallback = "2",
     .help = "after a failure"},
    {"music.file", YAML_TEXT, TO(music.file), .none = true, .group_none = true, .help = "a sound file"},
    {"music.gain_db", YAML_NUMBER, TO(music.gain_db), .finish = true, .group_none = true, .min = -60, .max = 20,
     .fallback = "-14", .unit = "dB", .help = "how loud in the mix"},
    {"music.duck_db", YAML_NUMBER, TO(music.duck_db), .finish = true, .group_none = true, .min = 0, .max = 60,
     .fallback = "9", .unit = "dB", .help = "how much quieter while the voice speaks"},
    {"subtitles", YAML_CHOICE, TO(subtitles), .words = "none|track|burned|both", .fallback = "none",
     .help = "what is said, to be read"},
    {"overlays", YAML_TABLES, TO(overlays), .item = overlay, .item_count = sizeof overlay / sizeof *overlay,
     .item_bytes = sizeof(CampaignOverlay), .fallback = "none", .help = "what lies over the picture"},
    {"styles", YAML_TEXT, TO(styles), .none = true, .help = "a file of styles for texts"},
    {"page", YAML_TEXT, TO(page), .none = true, .fallback = "none", .help = "an HTML file: the page of each clip"},
    {"variants", YAML_PAIRS, TO(variants), .fallback = "none", .help = "texts of which each row has one"},
    {"label.profile", YAML_CHOICE, TO(label.profile), .finish = true, .group_none = true, .words = "eu|cn|text|none",
     .fallback = "none", .help = "which mark says that AI made it"},
    {"label.position", YAML_CHOICE, TO(label.position), .finish = true, .group_none = true,
     .words = "top-right|top-left", .fallback = "top-right", .help = "in which corner"},
    {"label.text", YAML_TEXT, TO(label.text), .group_none = true, .help = "its words"},
    {"label.reason", YAML_TEXT, TO(label.reason), .group_none = true, .help = "why there is none"},
    {"gates", YAML_TEXT, TO(gates), .fallback = "none", .help = "a set of quality gates"},
    {"gates.measure", YAML_TEXT, TO(gates_measure), .help = "a command that measures for gates"},
    {"gates.index", YAML_TEXT, TO(gates_index), .help = "a folder in which campaigns find near-duplicates"},
    {"gates.set", YAML_TEXT, TO(gates_set), .help = "a set of quality gates"},
    GATES_LIST(GATE_KEYS){"review", YAML_CHOICE, TO(review), .words = "all|sample|none",
                          .help = "which clips a person looks at"},
    {"review.policy", YAML_CHOICE, TO(review_policy), .words = "all|sample|none", .fallback = "none",
     .help = "which clips a person looks at"},
    {"review.lq", YAML_NUMBER, TO(review_lq), .min = 0.1, .max = 50, .fallback = "5", .unit = "per cent",
     .help = "limiting quality of a sample"},
    {"review.series", YAML_TEXT, TO(review_series), .help = "a file that notes the lots of a series"},
    {"review.aql", YAML_NUMBER, TO(review_aql), .min = 0.01, .max = 10, .fallback = "1", .unit = "per cent",
     .help = "acceptance quality limit of a series"},
    {"review.four_eyes", YAML_SWITCH, TO(review_four_eyes), .fallback = "false",
     .help = "two people for each approval"},
    {"watermark", YAML_SWITCH, TO(watermark), .fallback = "false",
     .help = "a hidden mark in videos, posters, GIFs and the thumbnail"},
    {"credentials", YAML_CHOICE, TO(credentials), .words = "none", .help = "signed content credentials"},
    {"credentials.certificate", YAML_TEXT, TO(certificate), .help = "a file with the certificate chain"},
    {"credentials.key", YAML_TEXT, TO(signing_key), .help = "a file with its private key"},
    {"credentials.signer", YAML_TEXT, TO(signer), .help = "a command that signs, instead of a key's file"},
    {"credentials.timestamp", YAML_TEXT, TO(timestamp), .fallback = "none",
     .help = "the address of a time-stamping authority"},
};
enum { KEY_COUNT = (int)(sizeof schema / sizeof *schema) };
_Static_assert((int)KEY_COUNT <= (int)CAMPAIGN_MAX_KEYS, "CampaignFile.line has a place for every key");

const YamlField *campaign_schema(int *count)
{
    *count = KEY_COUNT;
    return schema;
}

static int signed_line(const CampaignFile *c, const char *key)
{
    for (int i = 0; i < KEY_COUNT; i++)
        if (strcmp(schema[i].name, key) == 0) return c->line[i];
    abort(); /* a key that is not in the table */
}

int campaign_file_line(const CampaignFile *c, const char *key) { return abs(signed_line(c, key)); }

bool campaign_file_has(const CampaignFile *c, const char *key) { return signed_line(c, key) > 0; }

static void check_name(const CampaignFile *c, Place place, Faults *faults)
{
    if (strlen(c->campaign) > CAMPAIGN_MAX_NAME_BYTES)
        faults_add(faults, place, "%zu bytes long, expected at most %d", strlen(c->campaign), CAMPAIGN_MAX_NAME_BYTES);
    if (!foreign_is_safe(c->campaign))
        faults_add(faults, place, "%s holds a line break or another control character", quoted(c->campaign).text);
}

/* A text that is there but empty is a fault, and then as good as not given. */
static void check_texts(const char *file, CampaignFile *c, Faults *faults)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        char **text = (char **)(void *)((char *)c + schema[i].to);
        if (!schema[i].filled || !*text || (*text)[strspn(*text, " \t\n")]) continue;
        faults_add(faults, (Place){file, abs(c->line[i]), schema[i].name}, "empty; expected text");
        free(*text);
        *text = NULL;
    }
    if (c->campaign) check_name(c, (Place){file, campaign_file_line(c, "campaign"), "campaign"}, faults);
}

/* "none" is the same as leaving the key out. */
static void drop_none(CampaignFile *c)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        void *at = (char *)c + schema[i].to;
        if (!schema[i].none) continue;
        YamlWords *words = schema[i].type == YAML_WORDS ? at : NULL;
        char **text = words ? words->word : at;
        if ((words && words->count != 1) || !*text || strcmp(*text, "none") != 0) continue;
        free(*text);
        *text = NULL;
        if (words) words->count = 0;
    }
}

/* ---- what the finish reads ---- */

static void put_finish(const YamlField *field, int count, const void *from, const char *group, json_t *to)
{
    const size_t n = strlen(group);
    for (int i = 0; i < count; i++) {
        const YamlField *f = &field[i];
        if (!f->finish || strncmp(f->name, group, n) != 0) continue;
        const void *at = (const char *)from + f->to;
        const char *text = f->type == YAML_TEXT ? *(char *const *)at : f->type == YAML_CHOICE ? at : NULL;
        json_t *value = f->type == YAML_NUMBER    ? json_real(*(const double *)at)
                        : f->type == YAML_INTEGER ? json_integer(*(const int *)at)
                        : f->type == YAML_SWITCH  ? json_boolean(*(const bool *)at)
                        : text                    ? json_string(text)
                                                  : NULL;
        if (value) json_object_set_new(to, f->name + n, value);
    }
}

void campaign_file_finish(const CampaignFile *c, const char *group, json_t *to)
{
    put_finish(schema, KEY_COUNT, c, group, to);
}

void campaign_overlay_finish(const CampaignOverlay *o, json_t *to)
{
    put_finish(overlay, sizeof overlay / sizeof *overlay, o, "", to);
}

bool campaign_file_parse(const char *file, const char *text, size_t bytes, Faults *faults, CampaignFile *out)
{
    *out = (CampaignFile){.operator_revenue_usd = -1};
    Yaml *y = yaml_open(file, text, bytes, faults);
    if (!y) return false;
    yaml_read_fields(y, schema, KEY_COUNT, out, out->line);
    yaml_close(&y);
    out->voice.engine_given = campaign_file_has(out, "voice.engine") && strcmp(out->voice.engine, "espeak") != 0;
    out->label.profile_given = campaign_file_has(out, "label.profile");
    if (!out->label.profile_given && (out->label.text || campaign_file_has(out, "label.position")))
        snprintf(out->label.profile, sizeof out->label.profile, "%s", out->label.text ? "text" : "eu");
    check_texts(file, out, faults);
    drop_none(out);
    return true;
}

void campaign_file_clear(CampaignFile *c)
{
    yaml_free_fields(schema, KEY_COUNT, c);
    *c = (CampaignFile){0};
}
