/* The steps and their order are those of ftfy.fix_text, of html.unescape and of the pipelines' own white space rule. What each step
 * knows about characters is in clean_tables.c. Surrogates, which ftfy also puts right, cannot occur in UTF-8. */
#include "clean.h"

#include "clean_encoding.h"
#include "clean_html.h"
#include "clean_tables.h"
#include "clean_text.h"

enum { SEGMENT_MAX_CHARACTERS = 1000000, ESCAPE = 0x1b };

static const CleanCharacter *find_character(uint32_t c)
{
    size_t low = 0, high = clean_tables_character_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c == clean_tables_character[middle].from) return &clean_tables_character[middle];
        if (c > clean_tables_character[middle].from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* C1 controls, ligatures, widths, quotes, line breaks. */
static void fix_characters(CleanText *t)
{
    CleanText out = {0};
    for (size_t i = 0; i < t->length; i++) {
        uint32_t c = t->at[i];
        const CleanCharacter *known = c < 0x80 ? NULL : find_character(c);
        if (known) {
            for (size_t k = 0; k < 3 && known->to[k]; k++) clean_text_push(&out, known->to[k]);
        } else if (c != '\r') {
            clean_text_push(&out, c);
        } else if (i + 1 >= t->length || t->at[i + 1] != '\n') {
            clean_text_push(&out, '\n');
        }
    }
    clean_text_move(t, &out);
}

/* The length of a terminal's escape sequence, "ESC [ 1;31 m"; 0 when there is none. */
static size_t escape_length(const uint32_t *at, size_t n)
{
    if (n < 3 || at[0] != ESCAPE || at[1] != '[') return 0;
    size_t i = 2;
    while (i < n && (at[i] == ';' || (clean_text_kind(at[i]) & CLEAN_DIGIT))) i++;
    bool letter = i < n && ((at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z'));
    return letter ? i + 1 : 0;
}

/* Escape sequences first, then control characters: what remains of a broken sequence stays. */
static void remove_controls(CleanText *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->length;) {
        size_t escape = escape_length(t->at + i, t->length - i);
        if (!escape && !(clean_text_kind(t->at[i]) & CLEAN_CONTROL)) t->at[n++] = t->at[i];
        i += escape ? escape : 1;
    }
    t->length = n;
}

/* One segment (a line), until nothing changes any more. */
static Status fix_segment(CleanText *t, bool unescape)
{
    for (bool changed = true; changed;) {
        CleanText before = {0};
        clean_text_append(&before, t->at, t->length);
        if (unescape) clean_html_unescape_whole(t);
        clean_encoding_fix(t);
        fix_characters(t);
        remove_controls(t);
        Status status = clean_text_compose(t);
        changed = !clean_text_equal(t, &before);
        clean_text_free(&before);
        TRY(status);
    }
    return status_ok();
}

/* Segments are lines. From the first line with "<" on, the text counts as HTML, in which references are left alone here. */
static Status fix_text(CleanText *t)
{
    CleanText out = {0};
    bool unescape = true;
    for (size_t from = 0, end; from < t->length; from = end) {
        CleanText segment = {0};
        for (end = from; end < t->length && end - from < SEGMENT_MAX_CHARACTERS; end++) {
            if (t->at[end] == '<') unescape = false;
            if (t->at[end] == '\n') break;
        }
        if (end < t->length && end - from < SEGMENT_MAX_CHARACTERS) end++;
        clean_text_append(&segment, t->at + from, end - from);
        Status status = fix_segment(&segment, unescape);
        clean_text_append(&out, segment.at, segment.length);
        clean_text_free(&segment);
        if (failed(status)) {
            clean_text_free(&out);
            return status;
        }
    }
    clean_text_move(t, &out);
    return status_ok();
}

/* Runs of white space to one space, none at the ends. */
static void collapse_spaces(CleanText *t)
{
    size_t n = 0;
    bool pending = false;
    for (size_t i = 0; i < t->length; i++) {
        if (clean_text_kind(t->at[i]) & CLEAN_SPACE) {
            pending = n > 0;
            continue;
        }
        uint32_t c = t->at[i];
        if (pending) t->at[n++] = ' '; /* in the place of at least one white space read: n <= i */
        pending = false;
        t->at[n++] = c;
    }
    t->length = n;
}

Status clean_prompt(const char *text, char **out)
{
    *out = NULL;
    CleanText t;
    TRY(clean_text_from_utf8(text, &t));
    Status status = fix_text(&t);
    if (!failed(status)) {
        clean_html_unescape(&t);
        clean_html_unescape(&t);
        collapse_spaces(&t);
        *out = clean_text_to_utf8(&t);
    }
    clean_text_free(&t);
    return status;
}
