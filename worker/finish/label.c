#include "label.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"
#include "worker/finish/letters.h"

static const double CAPITALS = 0.052; /* of the shorter side: 5 % and a little, for rounding */
static const double LEAST_PX = 7;     /* smaller capitals are none, in a picture of 64 pixels too */
static const double CN_SECONDS = 3;   /* 2 are asked for */
static const uint32_t GROUND = 0x101114F0, INK = 0xFFFFFFFF, DARK = 0x101114FF;

struct Label {
    Layer *layer;
    double to_s; /* 0: to the end */
};

/* Letters whose capitals are `capital` pixels high, in a layer at 0,0. A font's size says little about its capitals, so they are
 * measured first. */
static Status draw_words(const char *words, double capital, uint32_t color, int room_width, Layer **out)
{
    Letters style = {
        .font = "Noto Sans", .size_px = 100, .least_px = 100, .bold = true, .color = color, .max_lines = 1};
    Layer *sample;
    double px;
    TRY(letters_draw("AI", &style, (Box){0, 0, 400, 200}, 7, &sample, NULL));
    if (!sample) return status_fail(ERR_NODE, "no font on this machine draws capitals");
    style.size_px = 100 * capital / layer_extent(sample).height;
    style.least_px = style.size_px;
    layer_free(&sample);
    Box room = {0, 0, room_width, (int)(style.size_px * 1.6)};
    return letters_draw(words, &style, room, 7, out, &px);
}

static void add_words(Layer *to, const Layer *words, int x, int y)
{
    Box in = layer_extent(words);
    layer_add_rgba(to, words->rgba,
                   (Box){x - (in.x - words->box.x), y - (in.y - words->box.y), words->box.width, words->box.height});
}

typedef struct {
    Layer *icon, *words; /* icon NULL: none */
    int pad, gap;
    Box box; /* of the whole */
} Parts;

static void place_parts(Parts *p, int right, Box safe)
{
    Box icon = p->icon ? layer_extent(p->icon) : (Box){0}, words = p->words ? layer_extent(p->words) : (Box){0};
    int inner = icon.height + (p->icon ? 2 * p->pad : 0);
    int height = (words.height > inner ? words.height : inner) + 2 * p->pad;
    int width = 2 * p->pad + words.width + (p->icon ? icon.width + 2 * p->pad + (p->words ? p->gap : 0) : 0);
    p->box = (Box){right ? safe.x + safe.width - width : safe.x, safe.y, width, height};
}

static Layer *compose(const Parts *p)
{
    Layer *l = layer_new(p->box);
    int middle = p->box.y + p->box.height / 2, x = p->box.x + p->pad;
    layer_add_box(l, p->box, p->pad * 2, GROUND);
    if (p->icon) { /* dark capitals on a light box */
        Box in = layer_extent(p->icon);
        Box around = {x, middle - in.height / 2 - p->pad, in.width + 2 * p->pad, in.height + 2 * p->pad};
        layer_add_box(l, around, p->pad, INK);
        add_words(l, p->icon, x + p->pad, middle - in.height / 2);
        x += around.width + p->gap;
    }
    if (p->words) add_words(l, p->words, x, middle - layer_extent(p->words).height / 2);
    layer_ready(l);
    return l;
}

static Status build(const char *words, bool icon, bool right, int side, Box safe, Label *l)
{
    double capital = fmax(CAPITALS * side, LEAST_PX);
    Parts p = {.pad = (int)ceil(capital * 0.42), .gap = (int)ceil(capital * 0.5)};
    Status status = status_ok();
    if (icon) TRY_OUT(draw_words("AI", capital, DARK, safe.width, &p.icon));
    /* beside the icon's capitals the words may be a little smaller */
    status = draw_words(words, icon ? capital * 0.72 : capital, INK, safe.width, &p.words);
    if (icon && status.err == ERR_CLIP) status = status_ok(); /* a narrow picture: the icon says it alone */
    if (failed(status)) goto out;
    place_parts(&p, right, safe);
    if (p.box.width > safe.width && icon) {
        layer_free(&p.words);
        place_parts(&p, right, safe);
    }
    if (p.box.width > safe.width)
        TRY_OUT(status_fail(ERR_CLIP, "label: it takes %d pixels of %d: shorten label.text", p.box.width, safe.width));
    l->layer = compose(&p);
out:
    layer_free(&p.icon);
    layer_free(&p.words);
    return status_at(status, "label");
}

const char *label_words(const json_t *spec)
{
    const char *profile = member_filled(spec, "profile", "none");
    return member_filled(spec, "text",
                         strcmp(profile, "none") == 0 ? ""
                         : strcmp(profile, "cn") == 0 ? "AI生成"
                         : strcmp(profile, "eu") == 0 ? "AI-generated"
                                                      : "Made with AI");
}

Status label_open(const json_t *spec, int width, int height, Box safe, Label **out)
{
    const char *profile = member_filled(spec, "profile", "none");
    bool eu = strcmp(profile, "eu") == 0, cn = strcmp(profile, "cn") == 0, own = strcmp(profile, "text") == 0;
    *out = NULL;
    if (strcmp(profile, "none") == 0) return status_ok();
    if (!eu && !cn && !own) return status_fail(ERR_INPUT, "label.profile = %s, expected eu, cn, text or none", profile);
    Label *l = *out = memory_get(1, sizeof *l);
    l->to_s = cn ? CN_SECONDS : 0;
    bool right = strcmp(member_filled(spec, "position", "top-right"), "top-left") != 0;
    Status status = build(label_words(spec), eu, right, width < height ? width : height, safe, l);
    if (failed(status)) label_close(out);
    return status;
}

void label_close(Label **l)
{
    if (!*l) return;
    layer_free(&(*l)->layer);
    free(*l);
    *l = NULL;
}

Box label_box(const Label *l) { return l ? l->layer->box : (Box){0}; }

Status label_draw(const Label *l, AVFrame *frame, double at_s)
{
    if (!l || (l->to_s > 0 && at_s >= l->to_s)) return status_ok();
    return layer_blend(l->layer, frame, 256);
}

double label_seen(const Label *l, const Grey *picture) { return l ? legible_layer(l->layer, picture) : NAN; }

/* Label 1: made by AI, known for certain. What ReservedCode1 and 2 are for, the producer decides; a propagator fills in its own. */
char *label_metadata(const json_t *spec, const char *producer, const char *clip_id)
{
    if (strcmp(member_filled(spec, "profile", "none"), "cn") != 0) return NULL;
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "Label", "1", "ContentProducer", producer, "ProduceID", clip_id,
                  "ReservedCode1", "", "ContentPropagator", "", "PropagateID", "", "ReservedCode2", "");
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text) abort();
    json_decref(o);
    return text;
}
