#include "overlay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <qrencode.h>

#include "common/file.h"
#include "common/json_member.h"
#include "worker/finish/legible.h"
#include "worker/finish/letters.h"
#include "worker/finish/logo.h"
#include "worker/finish/overlay_place.h"
#include "worker/pictures/pixels.h"

static const double SHY_CONTRAST = 3.0; /* WCAG 2 asks that much of large letters */
static const double SHY_SHARE = 0.1;    /* of the pixels beneath that may have less */
static const double EASE_S = 0.25;      /* in which a box appears */

typedef enum { BOX_NONE, BOX_AUTO, BOX_ALWAYS } BoxWish;

typedef struct {
    Layer *layer, *box; /* box NULL: none */
    BoxWish wish;
    uint32_t color; /* of the letters */
    char *code;     /* what it says, NULL: it is no code */
    int square_px;  /* of a code's squares */
    double from_s, to_s, fade_s;
    double box_shown; /* 0 to 1 */
    bool is_needed;   /* the box */
} Item;

struct Overlay {
    OverlayFrame frame;
    int count;
    Item item[OVERLAY_MAX];
};

static int short_side(const OverlayFrame *f) { return f->width < f->height ? f->width : f->height; }

/* ---- texts --------------------------------------------------------------------------------------------------------------- */

bool overlay_color(const char *text, uint32_t *color)
{
    size_t n = strlen(text);
    if (text[0] != '#' || (n != 7 && n != 9) || strspn(text + 1, "0123456789abcdefABCDEF") != n - 1) return false;
    uint32_t value = (uint32_t)strtoul(text + 1, NULL, 16);
    *color = n == 7 ? value << 8 | 255 : value;
    return true;
}

static Status color_of(const json_t *style, const char *key, const char *fallback, uint32_t *color)
{
    const char *text = member_text(style, key, fallback);
    if (overlay_color(text, color)) return status_ok();
    return status_fail(ERR_INPUT, "style.%s = %s, expected a colour, #RRGGBB or #RRGGBBAA", key, text);
}

static Status letters_of(const json_t *style, int side, Letters *out)
{
    double size =
        fmax(member_number(style, "size", 0.07) * side, 8); /* smaller letters are none, however small the frame */
    *out = (Letters){.font = member_text(style, "font", "Noto Sans"),
                     .size_px = size,
                     .least_px = size * member_number(style, "least", 0.5),
                     .bold = json_is_true(json_object_get(style, "bold")),
                     .outline_px = member_number(style, "outline_width", 0.004) * side,
                     .shadow_px = member_number(style, "shadow", 0) * side,
                     .max_lines = (int)member_number(style, "max_lines", 2)};
    TRY(color_of(style, "color", "#FFFFFF", &out->color));
    return color_of(style, "outline", "#000000", &out->outline);
}

/* Its box stays in the safe area too: the letters' room is smaller by the box's edge. */
static Status open_text(const json_t *o, const OverlayFrame *f, int place, Item *item)
{
    const json_t *style = json_object_get(o, "style");
    const char *wish = member_text(style, "box", "auto");
    uint32_t box_color = 0x000000B0;
    Letters letters;
    double px;
    TRY(letters_of(style, short_side(f), &letters));
    item->color = letters.color;
    item->wish = strcmp(wish, "none") == 0 ? BOX_NONE : strcmp(wish, "auto") == 0 ? BOX_AUTO : BOX_ALWAYS;
    if (item->wish == BOX_ALWAYS) TRY(color_of(style, "box", "auto", &box_color));
    if (item->wish == BOX_AUTO && layer_luminance(letters.color) < 0.18) box_color = 0xFFFFFFB0;
    int edge = (int)lrint(letters.size_px * 0.3);
    Box room = overlay_room_of(f, place);
    if (item->wish != BOX_NONE)
        room = (Box){room.x + edge, room.y + edge, room.width - 2 * edge, room.height - 2 * edge};
    TRY(letters_draw(member_text(o, "text", ""), &letters, room, overlay_anchor(place), &item->layer, &px));
    if (!item->layer || item->wish == BOX_NONE) return status_ok();
    Box in = layer_extent(item->layer);
    edge = (int)(px * 0.28);
    Box around = {in.x - edge, in.y - edge, in.width + 2 * edge, in.height + 2 * edge};
    item->box = layer_new(around);
    layer_add_box(item->box, around, edge, box_color);
    layer_ready(item->box);
    return status_ok();
}

/* ---- pictures and codes ---------------------------------------------------------------------------------------------- */

static Status open_picture(const json_t *o, const OverlayFrame *f, int place, Item *item)
{
    Box room = overlay_room_of(f, place);
    int longest = (int)lrint(member_number(o, "scale", 0.2) * short_side(f)), width, height;
    uint8_t *rgba;
    if (longest > room.width) longest = room.width;
    if (longest > room.height) longest = room.height;
    if (longest < 2) return status_fail(ERR_CLIP, "scale gives a picture of %d pixels, expected 2 or more", longest);
    TRY(logo_scaled(member_text(o, "image", ""), longest, &rgba, &width, &height));
    Box at = overlay_box_at(room, overlay_anchor(place), width, height);
    item->layer = layer_new(at);
    layer_add_rgba(item->layer, rgba, at);
    free(rgba);
    return status_ok();
}

/* What is not ASCII is said to be UTF-8 (ECI 26): readers guess otherwise, and wrongly. */
static QRcode *encode(const char *text)
{
    bool plain = true;
    for (const char *p = text; *p; p++) plain = plain && (*p & 0x80) == 0;
    QRinput *input = *text ? QRinput_new2(0, QR_ECLEVEL_M) : NULL;
    QRcode *code = NULL;
    if (input && (plain || QRinput_appendECIheader(input, 26) == 0) &&
        QRinput_append(input, QR_MODE_8, (int)strlen(text), (const unsigned char *)text) == 0)
        code = QRcode_encodeInput(input);
    if (input) QRinput_free(input);
    return code;
}

/* With its quiet zone, of whole pixels a square, at most `side` pixels. ERR_CLIP: too long for that size. */
static Status draw_code(const char *text, int side, Box room, int anchor, Layer **out, int *square_px)
{
    enum { QUIET = 4 }; /* modules of white around it, as ISO 18004 asks */
    QRcode *code = encode(text);
    if (!code) return status_fail(ERR_CLIP, "no code holds %zu bytes, expected 1 to 2,331", strlen(text));
    int modules = code->width + 2 * QUIET;
    const int most = room.width < room.height ? room.width : room.height, squares = code->width,
              px = *square_px = (side < most ? side : most) / modules;
    if (px < 2) {
        QRcode_free(code);
        return status_fail(
            ERR_CLIP, "a code of %d x %d squares in %d pixels cannot be read: shorten its text or enlarge its scale",
            squares, squares, side);
    }
    Box at = overlay_box_at(room, anchor, modules * px, modules * px);
    *out = layer_new(at);
    layer_add_box(*out, at, px * 2, 0xFFFFFFFF);
    for (int y = 0; y < code->width; y++)
        for (int x = 0; x < code->width; x++)
            if (code->data[y * code->width + x] & 1)
                layer_add_box(*out, (Box){at.x + (x + QUIET) * px, at.y + (y + QUIET) * px, px, px}, 0, 0x000000FF);
    QRcode_free(code);
    return status_ok();
}

static Status open_code(const json_t *o, const OverlayFrame *f, int place, Item *item)
{
    int side = (int)lrint(member_number(o, "scale", 0.4) * short_side(f));
    item->code = text_copy(member_text(o, "qr", ""));
    return draw_code(item->code, side, overlay_room_of(f, place), overlay_anchor(place), &item->layer,
                     &item->square_px);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------- */

static Status open_item(const json_t *o, const OverlayFrame *f, Item *item)
{
    char *message;
    int place = overlay_place_of(o);
    if (place < 0)
        return status_fail(ERR_INPUT, "place = %s, expected lower-third, top-left, end-card ...",
                           member_text(o, "place", ""));
    if (overlay_begins_late(o, f->duration_s, &message)) {
        const Status status = status_fail(ERR_CLIP, "%s", message);
        free(message);
        return status;
    }
    item->from_s = member_number(o, "from", 0);
    item->to_s = overlay_end_of(o, f->duration_s);
    item->fade_s = member_number(o, "fade", 0.25);
    if (json_object_get(o, "text"))
        TRY(open_text(o, f, place, item));
    else if (json_object_get(o, "image"))
        TRY(open_picture(o, f, place, item));
    else if (json_object_get(o, "qr"))
        TRY(open_code(o, f, place, item));
    else
        return status_fail(ERR_INPUT, "expected a text, an image or a qr");
    if (item->layer) layer_ready(item->layer);
    return status_ok();
}

/* The subtitles, or all others, which stand above them. */
static Status open_items(Overlay *o, const json_t *list, bool subtitles)
{
    int highest = 0;
    for (int i = 0; i < o->count; i++) {
        const json_t *one = json_array_get(list, (size_t)i);
        Item *item = &o->item[i];
        if (json_is_true(json_object_get(one, "subtitle")) != subtitles) continue;
        TRY(status_at(open_item(one, &o->frame, item), "overlays[%d]", i));
        if (!subtitles || !item->layer) continue;
        const int y = item->box ? item->box->box.y : layer_extent(item->layer).y;
        if (!highest || y < highest) highest = y;
    }
    if (subtitles) o->frame.subtitles_y = highest;
    return status_ok();
}

Status overlay_open(const json_t *list, const OverlayFrame *frame, Overlay **out)
{
    size_t count = json_array_size(list);
    *out = NULL;
    if (count > OVERLAY_MAX)
        return status_fail(ERR_INPUT, "overlays: %zu of them, expected at most %d", count, OVERLAY_MAX);
    Overlay *o = *out = memory_get(1, sizeof *o);
    o->frame = *frame;
    o->frame.subtitles_y = 0;
    o->count = (int)count;
    Status status = open_items(o, list, true);
    if (!failed(status)) status = open_items(o, list, false);
    if (failed(status)) overlay_close(out);
    return status;
}

void overlay_close(Overlay **o)
{
    if (!*o) return;
    for (int i = 0; i < (*o)->count; i++) {
        layer_free(&(*o)->item[i].layer);
        layer_free(&(*o)->item[i].box);
        free((*o)->item[i].code);
    }
    free(*o);
    *o = NULL;
}

/* 0 to 256: how much of an item is there at a time. The first frame is no fade-in's: a player's still shows it. */
static int strength_at(const Item *item, double at_s, double duration_s)
{
    if (at_s < item->from_s - 1e-6 || at_s >= item->to_s - 1e-6) return 0;
    double in = item->from_s > 0 && item->fade_s > 0 ? (at_s - item->from_s) / item->fade_s : 1;
    double out = item->to_s < duration_s && item->fade_s > 0 ? (item->to_s - at_s) / item->fade_s : 1;
    double share = fmin(1, fmin(in, out));
    return (int)lrint(256 * fmax(0, share));
}

static void ease_box(Item *item, const AVFrame *frame, double step_s)
{
    bool first = !item->is_needed && item->box_shown == 0;
    if (item->wish == BOX_ALWAYS) item->is_needed = true;
    if (!item->is_needed)
        item->is_needed = layer_share_below(frame, item->box->box, item->color, SHY_CONTRAST) > SHY_SHARE;
    if (!item->is_needed) return;
    item->box_shown = first && item->wish == BOX_ALWAYS ? 1 : fmin(1, item->box_shown + fmin(1, step_s / EASE_S));
}

static Status draw_at(Overlay *o, AVFrame *frame, double at_s, double step_s)
{
    for (int i = 0; i < o->count; i++) {
        Item *item = &o->item[i];
        int strength = strength_at(item, at_s, o->frame.duration_s);
        if (!strength || !item->layer) continue;
        if (item->box) {
            bool starts = item->box_shown == 0 && at_s - item->from_s < 1.5 * step_s;
            ease_box(item, frame, step_s);
            if (starts && item->is_needed) item->box_shown = 1; /* it comes with the text, not after it */
            TRY(layer_blend(item->box, frame, (int)lrint(strength * item->box_shown)));
        }
        TRY(layer_blend(item->layer, frame, strength));
    }
    return status_ok();
}

Status overlay_draw(Overlay *o, AVFrame *frame, int64_t number)
{
    return draw_at(o, frame, (double)number / o->frame.fps, 1 / o->frame.fps);
}

static int64_t middle_of(const Overlay *o, const Item *item)
{
    return (int64_t)((item->from_s + item->to_s) / 2 * o->frame.fps);
}

double overlay_contrast(const Overlay *o, const AVFrame *frame, int64_t number)
{
    const Grey picture = {frame->data[0], frame->linesize[0], frame->width, frame->height};
    double least = NAN;
    for (int i = 0; i < o->count; i++) {
        const Item *item = &o->item[i];
        if (item->layer && item->color && number == middle_of(o, item))
            least = fmin(least, legible_letters(item->layer, item->color, &picture));
    }
    return least;
}

static Status draw_fully(const Item *item, AVFrame *frame)
{
    bool shy = item->box && (item->wish == BOX_ALWAYS ||
                             layer_share_below(frame, item->box->box, item->color, SHY_CONTRAST) > SHY_SHARE);
    if (shy) TRY(layer_blend(item->box, frame, 256));
    return layer_blend(item->layer, frame, 256);
}

Status overlay_draw_all(Overlay *o, AVFrame *frame)
{
    bool drawn[OVERLAY_MAX] = {0};
    for (int n = 0; n < 2 * o->count; n++) { /* codes first: each is nothing without all of it */
        const int i = n % o->count;
        const bool is_codes_turn = n < o->count;
        Item *item = &o->item[i];
        if (!item->layer || is_codes_turn != (item->code != NULL)) continue;
        bool covered = false; /* what follows another one at its place, as subtitles do, is left out */
        for (int k = 0; k < o->count && !covered; k++)
            covered = drawn[k] && overlay_have_common(o->item[k].layer->box, item->layer->box);
        if (covered) continue;
        drawn[i] = true;
        TRY(draw_fully(item, frame));
    }
    return status_ok();
}

static Status read_code(Overlay *o, const Item *item, const Label *label, bool still, bool *is_read)
{
    const double at_s = still ? 0 : (item->from_s + item->to_s) / 2,
                 everything = 1e9 /* seconds: boxes are there at once */;
    AVFrame *f;
    TRY(pixels_frame(o->frame.width, o->frame.height, AV_PIX_FMT_YUV420P, &f));
    for (int i = 0; i < 3; i++)
        memset(f->data[i], 128, (size_t)f->linesize[i] * (size_t)(i ? (f->height + 1) / 2 : f->height));
    Status status = still ? overlay_draw_all(o, f) : draw_at(o, f, at_s, everything);
    if (!failed(status)) status = label_draw(label, f, at_s);
    *is_read = legible_code(item->layer->box, item->code, &(Grey){f->data[0], f->linesize[0], f->width, f->height});
    av_frame_free(&f);
    return status;
}

/* Squares of four pixels, as they are, with nothing near them: that needs no proof, and a campaign may have ten thousand codes. */
static bool is_plain(const Overlay *o, const Item *item)
{
    enum { PLAIN_PX = 4 };
    const double at_s = (item->from_s + item->to_s) / 2;
    bool plain = item->square_px >= PLAIN_PX && strength_at(item, at_s, o->frame.duration_s) == 256;
    for (int i = 0; i < o->count && plain; i++) {
        const Item *other = &o->item[i];
        const Layer *l = other->box ? other->box : other->layer;
        plain = !overlay_have_common(item->layer->box, o->frame.label) &&
                (other == item || !l || !overlay_have_common(item->layer->box, l->box));
    }
    return plain;
}

Status overlay_read_codes(Overlay *o, const Label *label, bool still, int *unread)
{
    *unread = -1;
    for (int i = 0; i < o->count && *unread < 0; i++) {
        bool is_read = true;
        if (o->item[i].code && o->item[i].layer && !is_plain(o, &o->item[i]))
            TRY(read_code(o, &o->item[i], label, still, &is_read));
        if (!is_read) *unread = i;
    }
    return status_ok();
}
