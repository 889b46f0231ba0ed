#include "emoji.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include <hb-ft.h>
#include <libswscale/swscale.h>

#include "common/file.h"

enum { ZWJ = 0x200D, KEYCAP = 0x20E3, VS16 = 0xFE0F };

static struct { /* of this process */
    bool tried;
    FT_Library library;
    FT_Face face; /* NULL: no colour font here */
    hb_font_t *font;
} emoji;

uint32_t emoji_character(const char *text, int *bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    int n = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xF0 ? 4 : 0;
    *bytes = s[0] ? 1 : 0;
    if (n == 0) return 0xFFFD;
    uint32_t c = n == 1 ? s[0] : s[0] & (0xFFu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0xFFFD;
        c = c << 6 | (s[i] & 0x3F);
    }
    *bytes = s[0] ? n : 0;
    return c;
}

/* ---- which characters ------------------------------------------------------------------------------------------------- */

/* Emoji_Presentation=Yes below U+1F000, of emoji-data.txt (Unicode 15); above it whatever the font has is one. */
static const struct {
    uint16_t first, last;
} presented[] = {{0x231A, 0x231B}, {0x23E9, 0x23EC}, {0x23F0, 0x23F0}, {0x23F3, 0x23F3}, {0x25FD, 0x25FE},
                 {0x2614, 0x2615}, {0x2648, 0x2653}, {0x267F, 0x267F}, {0x2693, 0x2693}, {0x26A1, 0x26A1},
                 {0x26AA, 0x26AB}, {0x26BD, 0x26BE}, {0x26C4, 0x26C5}, {0x26CE, 0x26CE}, {0x26D4, 0x26D4},
                 {0x26EA, 0x26EA}, {0x26F2, 0x26F3}, {0x26F5, 0x26F5}, {0x26FA, 0x26FA}, {0x26FD, 0x26FD},
                 {0x2705, 0x2705}, {0x270A, 0x270B}, {0x2728, 0x2728}, {0x274C, 0x274C}, {0x274E, 0x274E},
                 {0x2753, 0x2755}, {0x2757, 0x2757}, {0x2795, 0x2797}, {0x27B0, 0x27B0}, {0x27BF, 0x27BF},
                 {0x2B1B, 0x2B1C}, {0x2B50, 0x2B50}, {0x2B55, 0x2B55}};

static bool is_presented(uint32_t c)
{
    if (c >= 0x1F000 && c < 0x1FB00) return true;
    for (size_t i = 0; i < sizeof presented / sizeof *presented; i++)
        if (c >= presented[i].first && c <= presented[i].last) return true;
    return false;
}

static bool is_letter_of_flag(uint32_t c) { return c >= 0x1F1E6 && c <= 0x1F1FF; }
static bool is_skin_or_tag(uint32_t c) { return (c >= 0x1F3FB && c <= 0x1F3FF) || (c >= 0xE0020 && c <= 0xE007F); }

/* One emoji without joiners: base, variation, skin tone or tags. 0: none begins here. */
static int simple_length(const char *text)
{
    int n, more;
    uint32_t c = emoji_character(text, &n), next = n ? emoji_character(text + n, &more) : 0;
    if (n == 0) return 0;
    if (is_letter_of_flag(c)) return is_letter_of_flag(next) ? n + more : n;
    if ((c >= '0' && c <= '9') || c == '#' || c == '*') {
        int at = next == VS16 ? n + more : n;
        return emoji_character(text + at, &more) == KEYCAP ? at + more : 0;
    }
    if (c < 0xA9 || (!is_presented(c) && next != VS16)) return 0;
    if (next == VS16) {
        n += more;
        next = emoji_character(text + n, &more);
    }
    while (is_skin_or_tag(next) && more) {
        n += more;
        next = emoji_character(text + n, &more);
    }
    return n;
}

static int sequence_length(const char *text)
{
    int n = simple_length(text), more;
    while (n && emoji_character(text + n, &more) == ZWJ) {
        int next = simple_length(text + n + more);
        int bytes;
        /* after a joiner also what stands alone as text is part of it: the female sign, the heart */
        if (!next && emoji_character(text + n + more, &bytes) >= 0x2000) next = bytes;
        if (!next) break;
        n += more + next;
    }
    return n;
}

/* ---- the font --------------------------------------------------------------------------------------------------------- */

static bool open_face(const char *file, int index)
{
    if (FT_Init_FreeType(&emoji.library) != 0) return false;
    if (FT_New_Face(emoji.library, file, index, &emoji.face) != 0) return false;
    if (FT_HAS_COLOR(emoji.face) && emoji.face->num_fixed_sizes > 0 && FT_Select_Size(emoji.face, 0) == 0) return true;
    FT_Done_Face(emoji.face);
    emoji.face = NULL;
    return false;
}

static void open_font(void)
{
    FcChar8 *file;
    FcResult result;
    FcBool color = FcFalse;
    int index = 0;
    emoji.tried = true;
    FcPattern *wanted = FcNameParse((const FcChar8 *)"emoji:color=true");
    FcConfigSubstitute(NULL, wanted, FcMatchPattern);
    FcDefaultSubstitute(wanted);
    FcPattern *found = FcFontMatch(NULL, wanted, &result);
    if (found && FcPatternGetBool(found, FC_COLOR, 0, &color) == FcResultMatch && color &&
        FcPatternGetString(found, FC_FILE, 0, &file) == FcResultMatch) {
        FcPatternGetInteger(found, FC_INDEX, 0, &index);
        if (open_face((const char *)file, index)) emoji.font = hb_ft_font_create_referenced(emoji.face);
    }
    if (found) FcPatternDestroy(found);
    FcPatternDestroy(wanted);
}

/* The one glyph that these bytes are in the font, 0 when they are none or several. */
static uint32_t glyph_of(const char *text, int bytes)
{
    if (!emoji.tried) open_font();
    if (!emoji.font) return 0;
    unsigned count = 0;
    uint32_t glyph = 0;
    hb_buffer_t *buffer = hb_buffer_create();
    hb_buffer_add_utf8(buffer, text, bytes, 0, bytes);
    hb_buffer_guess_segment_properties(buffer);
    hb_shape(emoji.font, buffer, NULL, 0);
    hb_glyph_info_t *info = hb_buffer_get_glyph_infos(buffer, &count);
    hb_glyph_position_t *place = hb_buffer_get_glyph_positions(buffer, &count);
    for (unsigned i = 0; i < count; i++) {
        if (place[i].x_advance == 0) continue; /* a variation selector */
        if (glyph || !info[i].codepoint) {
            glyph = 0;
            break;
        }
        glyph = info[i].codepoint;
    }
    hb_buffer_destroy(buffer);
    return glyph;
}

int emoji_length(const char *text)
{
    int n = sequence_length(text);
    if (n && glyph_of(text, n)) return n;
    n = simple_length(text); /* a sequence that the font does not know is drawn in its parts */
    return n && glyph_of(text, n) ? n : 0;
}

/* ---- pictures --------------------------------------------------------------------------------------------------------- */

/* The strike's bitmap (BGRA, premultiplied) to a square of `side` pixels, its longer edge filling it. */
static Status scale_strike(const FT_Bitmap *b, Layer *to, Box at)
{
    int width = (int)b->width, height = (int)b->rows, longest = width > height ? width : height;
    Box fit = {at.x, at.y, at.width * width / longest, at.height * height / longest};
    fit.x += (at.width - fit.width) / 2;
    fit.y += (at.height - fit.height) / 2;
    if (fit.width < 1 || fit.height < 1) return status_ok();
    struct SwsContext *scale =
        sws_getContext(width, height, AV_PIX_FMT_BGRA, fit.width, fit.height, AV_PIX_FMT_RGBA,
                       SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    uint8_t *rgba = memory_get((size_t)fit.width * (size_t)fit.height + 16, 4);
    if (scale)
        sws_scale(scale, (const uint8_t *const[]){b->buffer}, (int[]){b->pitch}, 0, height, (uint8_t *[]){rgba},
                  (int[]){fit.width * 4});
    Status status = scale ? status_ok() : status_fail(ERR_NODE, "out of memory for an emoji");
    if (scale) layer_add_rgba(to, rgba, fit);
    sws_freeContext(scale);
    free(rgba);
    return status;
}

Status emoji_draw(const char *text, int bytes, Layer *to, Box at)
{
    uint32_t glyph = glyph_of(text, bytes);
    if (!glyph || FT_Load_Glyph(emoji.face, glyph, FT_LOAD_COLOR) != 0 ||
        emoji.face->glyph->bitmap.pixel_mode != FT_PIXEL_MODE_BGRA)
        return status_fail(ERR_NODE, "the colour font gives no picture of an emoji");
    return scale_strike(&emoji.face->glyph->bitmap, to, at);
}
