#include "letters.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ass/ass.h>
#include <fontconfig/fontconfig.h>

#include "common/file.h"
#include "worker/finish/emoji.h"

enum {
    MAX_EMOJI = 100,
    EDGE = 96,            /* pixels around the room, to see what sticks out of it */
    MARKER_COLOR = 0x101F /* upper 16 bits of the colours that mark where an emoji goes; the low 8 count them */
};

static struct { /* of this process: fonts are looked up and opened once */
    ASS_Library *library;
    ASS_Renderer *renderer;
    FcCharSet *known; /* what any outline font has */
} shared;

static void be_quiet(int level, const char *fmt, va_list args, void *self)
{
    (void)level, (void)fmt, (void)args, (void)self;
}

static Status open_renderer(void)
{
    if (shared.renderer) return status_ok();
    if (!shared.library) shared.library = ass_library_init();
    if (!shared.library) return status_fail(ERR_NODE, "out of memory for libass");
    ass_set_message_cb(shared.library, be_quiet, NULL);
    shared.renderer = ass_renderer_init(shared.library);
    if (!shared.renderer) return status_fail(ERR_NODE, "out of memory for libass");
    ass_set_fonts(shared.renderer, NULL, "sans-serif", ASS_FONTPROVIDER_FONTCONFIG, NULL, 1);
    ass_set_hinting(shared.renderer, ASS_HINTING_NONE);
    ass_set_shaper(shared.renderer, ASS_SHAPING_COMPLEX);
    return status_ok();
}

/* ---- the text as an event of libass ---------------------------------------------------------------------------------- */

typedef struct {
    char *text;
    size_t used, room;
    int emoji_count;
    const char *emoji[MAX_EMOJI]; /* into the source */
    int emoji_bytes[MAX_EMOJI];
} Script;

static void add(Script *s, const char *text, size_t bytes)
{
    if (s->used + bytes + 1 > s->room) {
        s->room = 2 * (s->used + bytes + 64);
        s->text = memory_resize(s->text, s->room, 1);
    }
    memcpy(s->text + s->used, text, bytes);
    s->used += bytes;
    s->text[s->used] = 0;
}

static uint32_t marker(int i) { return (uint32_t)(MARKER_COLOR << 8 | i); } /* 0xRRGGBB */

/* A square as a drawing, in a colour of its own: where libass puts it, the emoji goes. It reaches a little below the line. */
static void add_emoji(Script *s, const char *text, int bytes, double size_px)
{
    uint32_t rgb = marker(s->emoji_count);
    int side = (int)lrint(size_px * 0.82);
    char *drawing =
        text_format("{\\1c&H%02X%02X%02X&\\1a&H00&\\bord0\\shad0\\pbo%d\\p1}m 0 0 l %d 0 %d %d 0 %d{\\p0\\r}",
                    rgb & 255, rgb >> 8 & 255, rgb >> 16 & 255, side / 6, side, side, side, side);
    add(s, drawing, strlen(drawing));
    free(drawing);
    s->emoji[s->emoji_count] = text;
    s->emoji_bytes[s->emoji_count++] = bytes;
}

static void make_script(const char *text, double size_px, Script *s)
{
    *s = (Script){0};
    add(s, "", 0);
    while (*text) {
        int n, bytes = s->emoji_count < MAX_EMOJI ? emoji_length(text) : 0;
        if (bytes) {
            add_emoji(s, text, bytes, size_px);
            text += bytes;
            continue;
        }
        uint32_t c = emoji_character(text, &n);
        if (c == '\n')
            add(s, "\\N", 2);
        else if (c == '{' || c == '}')
            add(s, c == '{' ? "\\{" : "\\}", 2);
        else if (c == '\\')
            add(s, "\\\xE2\x81\xA0", 4); /* a word joiner behind it: no escape begins */
        else if (c == 0xFFFD && n == 1)
            add(s, "\xEF\xBF\xBD", 3);
        else if (c >= ' ' && c != 0x7F && c != 0xFE0F && c != 0xFE0E)
            add(s, text, (size_t)n);
        text += n;
    }
}

static char *script_head(const Letters *style, double size_px, int width, int height, int anchor)
{
    double scale = size_px / style->size_px;
    /* outlines, and letters that lean out of their own width, stay in the room too */
    int edge = EDGE + 2 + (int)ceil(style->outline_px * scale + size_px * 0.03);
    uint32_t c = style->color, o = style->outline;
    return text_format("[Script Info]\nScriptType: v4.00+\nPlayResX: %d\nPlayResY: %d\nWrapStyle: 0\n"
                       "ScaledBorderAndShadow: yes\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, "
                       "OutlineColour, BackColour, Bold, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
                       "MarginV, Encoding\nStyle: Default,%s,%.2f,&H%02X%02X%02X%02X,&H%02X%02X%02X%02X,&H80000000,%d,"
                       "1,%.2f,%.2f,%d,%d,%d,%d,-1\n",
                       width, height, style->font, size_px, 255 - (c & 255), c >> 8 & 255, c >> 16 & 255, c >> 24,
                       255 - (o & 255), o >> 8 & 255, o >> 16 & 255, o >> 24, style->bold ? -1 : 0,
                       style->outline_px * scale, style->shadow_px * scale, anchor, edge, edge, edge);
}

static ASS_Track *make_track(const Letters *style, double size_px, Box room, int anchor, const Script *s)
{
    char *head = script_head(style, size_px, room.width + 2 * EDGE, room.height + 2 * EDGE, anchor);
    ASS_Track *track = ass_new_track(shared.library);
    if (track) {
        ass_process_data(track, head, (int)strlen(head));
        ass_track_set_feature(track, ASS_FEATURE_BIDI_BRACKETS, 1);
        ass_track_set_feature(track, ASS_FEATURE_WHOLE_TEXT_LAYOUT, 1);
        ass_track_set_feature(track, ASS_FEATURE_WRAP_UNICODE, 1); /* Chinese, Japanese, Thai; where libass can */
        int number = ass_alloc_event(track);                       /* moves the list */
        ASS_Event *event = &track->events[number];
        event->Start = 0;
        event->Duration = 1000;
        event->Style = 0;
        for (int i = 0; i < track->n_styles; i++)
            if (strcmp(track->styles[i].Name, "Default") == 0) event->Style = i;
        event->Text = strdup(s->text);
    }
    free(head);
    return track;
}

/* ---- fitting ----------------------------------------------------------------------------------------------------------- */

/* libass pads its bitmaps: what is set in one. */
static Box set_box(const ASS_Image *i)
{
    int left = i->w, top = i->h, right = -1, bottom = -1;
    for (int y = 0; y < i->h; y++)
        for (int x = 0; x < i->w; x++) {
            if (!i->bitmap[(ptrdiff_t)y * i->stride + x]) continue;
            if (x < left) left = x;
            if (x > right) right = x;
            if (y < top) top = y;
            bottom = y;
        }
    return right < 0 ? (Box){0} : (Box){i->dst_x + left, i->dst_y + top, right - left + 1, bottom - top + 1};
}

/* type -1: all of them */
static Box image_extent(const ASS_Image *first, int type)
{
    int left = 1 << 20, top = 1 << 20, right = -1, bottom = -1;
    for (const ASS_Image *i = first; i; i = i->next) {
        if (i->w < 1 || i->h < 1 || (type >= 0 && (int)i->type != type)) continue;
        Box b = set_box(i);
        if (!b.width) continue;
        if (b.x < left) left = b.x;
        if (b.y < top) top = b.y;
        if (b.x + b.width > right) right = b.x + b.width;
        if (b.y + b.height > bottom) bottom = b.y + b.height;
    }
    return right < 0 ? (Box){0} : (Box){left, top, right - left, bottom - top};
}

static bool fits(const ASS_Image *images, const Letters *style, double size_px, Box room)
{
    Box all = image_extent(images, -1), letters = image_extent(images, IMAGE_TYPE_CHARACTER);
    if (all.x < EDGE || all.y < EDGE || all.x + all.width > EDGE + room.width ||
        all.y + all.height > EDGE + room.height)
        return false;
    /* libass does not tell the number of lines; one takes the size of the font, its letters up to 1.25 of that in some scripts, and two lines at least 1.4 */
    return !style->max_lines || letters.height <= size_px * (style->max_lines + 0.3);
}

/* The images of libass, from EDGE around the room to the frame. */
static Status compose(const ASS_Image *images, const Script *s, Box room, Layer **out)
{
    Box all = image_extent(images, -1);
    int dx = room.x - EDGE, dy = room.y - EDGE;
    if (all.width == 0) return status_ok();
    Layer *l = *out = layer_new((Box){all.x + dx, all.y + dy, all.width, all.height});
    for (const ASS_Image *i = images; i; i = i->next) {
        Box at = {i->dst_x + dx, i->dst_y + dy, i->w, i->h};
        int k = (int)(i->color >> 8) - (int)marker(0);
        if (i->type == IMAGE_TYPE_CHARACTER && k >= 0 && k < s->emoji_count)
            TRY(emoji_draw(s->emoji[k], s->emoji_bytes[k], l, at));
        else if (i->w > 0 && i->h > 0)
            layer_add_mask(l, i->bitmap, i->stride, at, (i->color & 0xFFFFFF00u) | (255 - (i->color & 255)));
    }
    return status_ok();
}

/* One try at one size. */
static Status try_size(const char *text, const Letters *style, double size_px, Box room, int anchor, bool *fit,
                       Layer **out)
{
    Script s;
    int changed;
    make_script(text, size_px, &s);
    ASS_Track *track = make_track(style, size_px, room, anchor, &s);
    ASS_Image *images = track ? ass_render_frame(shared.renderer, track, 0, &changed) : NULL;
    Status status = track ? status_ok() : status_fail(ERR_NODE, "out of memory for libass");
    *fit = track && fits(images, style, size_px, room);
    if (*fit) status = compose(images, &s, room, out);
    if (track) ass_free_track(track);
    free(s.text);
    return status;
}

/* Joiners, marks of direction, variation selectors, tags: they have no picture of their own. */
static bool is_invisible(uint32_t c)
{
    return c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA1) || c == 0xAD || c == 0x61C ||
           (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
           (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE0FFF);
}

/* A value of spaces alone, too, which the marks of its direction stand around. */
static bool is_blank(const char *text)
{
    int n;
    for (uint32_t c; *text; text += n) {
        c = emoji_character(text, &n);
        if (c != ' ' && c != 0xA0 && c != 0x3000 && !(c >= 0x2000 && c <= 0x200A) && !is_invisible(c)) return false;
    }
    return true;
}

Status letters_draw(const char *text, const Letters *style, Box room, int anchor, Layer **out, double *size_px)
{
    bool fit = false;
    *out = NULL;
    if (strlen(text) > LETTERS_MAX_BYTES)
        return status_fail(ERR_CLIP, "a text of %zu bytes, expected at most %d", strlen(text), LETTERS_MAX_BYTES);
    if (is_blank(text)) return status_ok();
    if (strpbrk(style->font, ",\n\r"))
        return status_fail(ERR_INPUT, "a font's name with a comma or a line's end in it");
    TRY(open_renderer());
    if (room.width < 8 || room.height < 8) return status_fail(ERR_CLIP, "no room for a text");
    ass_set_storage_size(shared.renderer, room.width + 2 * EDGE, room.height + 2 * EDGE);
    ass_set_frame_size(shared.renderer, room.width + 2 * EDGE, room.height + 2 * EDGE);
    double size = style->size_px;
    for (;;) {
        Status status = try_size(text, style, size, room, anchor, &fit, out);
        if (failed(status)) layer_free(out);
        TRY(status);
        if (fit) break;
        if (size <= style->least_px)
            return status_fail(ERR_CLIP, "the text does not fit, also not at %.0f pixels: shorten it", style->least_px);
        size = fmax(size * 0.93, style->least_px);
    }
    if (size_px) *size_px = size;
    return status_ok();
}

/* ---- what fonts have --------------------------------------------------------------------------------------------------- */

static void collect_known(void)
{
    FcPattern *any = FcPatternCreate();
    FcObjectSet *fields = FcObjectSetBuild(FC_CHARSET, FC_SCALABLE, FC_COLOR, (char *)NULL);
    FcFontSet *fonts = FcFontList(NULL, any, fields);
    shared.known = FcCharSetCreate();
    for (int i = 0; fonts && i < fonts->nfont; i++) {
        FcCharSet *set;
        FcBool color = FcFalse;
        FcPatternGetBool(fonts->fonts[i], FC_COLOR, 0, &color);
        if (!color && FcPatternGetCharSet(fonts->fonts[i], FC_CHARSET, 0, &set) == FcResultMatch)
            FcCharSetMerge(shared.known, set, NULL);
    }
    if (fonts) FcFontSetDestroy(fonts);
    FcObjectSetDestroy(fields);
    FcPatternDestroy(any);
}

uint32_t letters_missing(const char *text)
{
    if (!shared.known) collect_known();
    while (*text) {
        int n, bytes = emoji_length(text);
        uint32_t c = emoji_character(text, &n);
        if (!bytes && !is_invisible(c) && !FcCharSetHasChar(shared.known, c)) return c;
        text += bytes ? bytes : n;
    }
    return 0;
}

bool letters_has_family(const char *family)
{
    FcPattern *wanted = FcPatternBuild(NULL, FC_FAMILY, FcTypeString, family, (char *)NULL);
    FcObjectSet *fields = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
    FcFontSet *fonts = FcFontList(NULL, wanted, fields);
    bool found = fonts && fonts->nfont > 0;
    if (fonts) FcFontSetDestroy(fonts);
    FcObjectSetDestroy(fields);
    FcPatternDestroy(wanted);
    return found;
}
