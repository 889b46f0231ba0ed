#include "landing_place.h"

#include <string.h>
#include <strings.h>

enum { TEXT, OPEN, TAG, INSIDE, NAME, AFTER_NAME, BEFORE_VALUE, QUOTED, BARE, MARK, COMMENT, RAW };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcasecmp(name, *list) == 0) return true;
    return false;
}

static void add(char *to, size_t room, char c)
{
    const size_t n = strlen(to);
    if (n + 1 < room) to[n] = c, to[n + 1] = 0;
}

/* Text there is code, or is not read as text. */
static bool is_raw(const char *tag)
{
    static const char *const raw[] = {"script", "style", "iframe", "noembed", "noframes", "xmp", "plaintext", NULL};
    return is_one_of(tag, raw);
}

static bool holds_address(const char *attribute)
{
    static const char *const those[] = {"href", "src",  "action", "formaction", "poster",
                                        "cite", "data", "ping",   "background", NULL};
    return is_one_of(attribute, those);
}

static bool holds_code(const char *attribute)
{
    static const char *const those[] = {"style", "srcdoc", "srcset", NULL};
    return strncasecmp(attribute, "on", 2) == 0 || is_one_of(attribute, those);
}

/* A relative address of something that the browser loads at once. */
static void end_value(LandingHtml *h)
{
    static const char *const loading[] = {"img", "script", "link", "source", "video", "audio", "iframe", "track", NULL};
    static const char *const those[] = {"src", "href", "poster", NULL};
    if (strcasecmp(h->tag, "base") == 0) h->has_base = true;
    if (!h->file || h->has_base || h->has_variable || !*h->value || *h->value == '#' || h->value[0] == '/') return;
    if (!is_one_of(h->tag, loading) || !is_one_of(h->attribute, those)) return;
    if (h->value[strcspn(h->value, ":/?#")] != ':') h->file(h->self, h->value);
}

static void begin_attribute(LandingHtml *h)
{
    *h->attribute = *h->value = 0;
    h->value_bytes = 0;
    h->has_variable = false;
}

static int end_tag(const LandingHtml *h) { return !h->closes && is_raw(h->tag) ? RAW : TEXT; }

static int in_tag(LandingHtml *h, char c)
{
    if (c == '>') return end_tag(h);
    if (is_space(c) || c == '/') return INSIDE;
    begin_attribute(h);
    add(h->attribute, sizeof h->attribute, c);
    return NAME;
}

static int in_name(LandingHtml *h, char c)
{
    if (c == '=') return BEFORE_VALUE;
    if (c == '>') return end_tag(h);
    if (is_space(c)) return AFTER_NAME;
    if (c == '/') return INSIDE;
    add(h->attribute, sizeof h->attribute, c);
    return NAME;
}

static int in_value(LandingHtml *h, char c)
{
    const bool over = h->state == QUOTED ? c == h->quote : is_space(c) || c == '>';
    if (!over) {
        if (h->value_bytes || !is_space(c)) h->value_bytes++, add(h->value, sizeof h->value, c);
        return h->state;
    }
    end_value(h);
    return c == '>' && h->state == BARE ? end_tag(h) : INSIDE;
}

/* The last bytes that passed are `end`: what ends a comment or a script. */
static bool has_passed(const LandingHtml *h, const char *end)
{
    const size_t n = strlen(end), have = strlen(h->value);
    return have >= n && strncasecmp(h->value + have - n, end, n) == 0;
}

static void note_passed(LandingHtml *h, char c)
{
    const size_t have = strlen(h->value);
    if (have + 1 == sizeof h->value) memmove(h->value, h->value + 1, have);
    add(h->value, sizeof h->value, c);
}

static int in_raw(LandingHtml *h, char c)
{
    char end[24] = "</";
    strncat(end, h->tag, sizeof end - 3);
    h->closes = has_passed(h, end) && (is_space(c) || c == '/' || c == '>');
    note_passed(h, c);
    return !h->closes ? RAW : c == '>' ? TEXT : INSIDE;
}

static int next(LandingHtml *h, char c)
{
    switch (h->state) {
    case OPEN:
        *h->value = *h->tag = 0;
        h->closes = c == '/';
        if (c == '!' || c == '?') return MARK;
        if (c == '/') return TAG;
        if (!is_letter(c)) return c == '<' ? OPEN : TEXT;
        add(h->tag, sizeof h->tag, c);
        return TAG;
    case TAG:
        if (is_space(c) || c == '/') return INSIDE;
        if (c == '>') return *h->value = 0, end_tag(h);
        add(h->tag, sizeof h->tag, c);
        return TAG;
    case INSIDE:
        return in_tag(h, c);
    case NAME:
        return in_name(h, c);
    case AFTER_NAME:
        return c == '=' ? BEFORE_VALUE : is_space(c) ? AFTER_NAME : in_tag(h, c);
    case BEFORE_VALUE:
        if (is_space(c)) return BEFORE_VALUE;
        if (c == '>') return end_tag(h);
        h->quote = c;
        h->state = BARE;
        return c == '"' || c == '\'' ? QUOTED : in_value(h, c);
    case QUOTED:
    case BARE:
        return in_value(h, c);
    case MARK: /* <!-- or <!doctype */
        if (c == '>') return TEXT;
        add(h->value, sizeof h->value, c);
        return strcmp(h->value, "--") == 0 ? COMMENT : MARK;
    case COMMENT:
        note_passed(h, c);
        return has_passed(h, "-->") ? TEXT : COMMENT;
    case RAW:
        return in_raw(h, c);
    default:
        return c == '<' ? OPEN : TEXT;
    }
}

void landing_html_pass(LandingHtml *h, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const int before = h->state;
        h->state = next(h, text[i]);
        if (h->state == RAW && before != RAW) *h->value = 0;
    }
}

bool landing_html_is_comment(const LandingHtml *h) { return h->state == COMMENT; }

LandingPlace landing_html_place(LandingHtml *h, bool *markup, const char **why)
{
    const bool begins = h->value_bytes == 0 && !h->has_variable;
    h->has_variable = true;
    *markup = h->state == TEXT;
    *why = h->state == RAW      ? "inside a script or a style"
           : h->state == QUOTED ? "in an attribute that holds code or several addresses"
                                : "inside a tag, not between quotes";
    if (h->state == TEXT) return LANDING_TEXT;
    if (h->state != QUOTED || holds_code(h->attribute)) return LANDING_NOWHERE;
    if (!holds_address(h->attribute)) return LANDING_TEXT;
    return begins ? LANDING_URL : LANDING_URL_PART;
}
