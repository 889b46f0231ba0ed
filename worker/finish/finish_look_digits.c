/* finish_look_digits.c - texts that differ in digits alone, as numbers of customers and orders do: a million rows have a handful of shapes.
 * One that fits with each of the ten digits all through it, and a pixel to spare, is taken to fit with any. Where a font's
 * digits differ by more at their edges, or in kerning, a mix of them may be wider still: such a clip fails when it is finished. */
#include <string.h>

#include "common/file.h"
#include "worker/finish/finish_look_parts.h"

enum { MOST_SHAPES = 4096 /* more are names: then each text is one of its own */ };

typedef struct LookClass {
    UT_hash_handle hh;
    char *shape;
    Unit *unit;
} LookClass;

/* Digits of a document's texts become 0; false: it has none, or shows something that is more than its letters. */
static bool make_shape(char *document)
{
    static const char member[] = "\"text\":\"";
    static const char *const other[] = {"\"qr\":", "\"image\":", "\"voice\":", "\"music\":", "\\"};
    bool any = false;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strstr(document, other[i])) return false;
    for (char *p = document; (p = strstr(p, member));)
        for (p += sizeof member - 1; *p && *p != '"'; p++)
            if (*p >= '0' && *p <= '9') *p = '0', any = true;
    return any;
}

Unit *finish_look_shape(Look *l, const char *document, char **shape)
{
    LookClass *c = NULL;
    *shape = text_copy(document);
    if (make_shape(*shape)) {
        HASH_FIND_STR(l->by_shape, *shape, c);
        if (!c && HASH_COUNT(l->by_shape) < MOST_SHAPES) return NULL;
    }
    free(*shape);
    *shape = NULL;
    return c ? c->unit : NULL;
}

void finish_look_add_shape(Look *l, char *shape, Unit *unit)
{
    LookClass *c = memory_get(1, sizeof *c);
    *c = (LookClass){.shape = shape, .unit = unit};
    HASH_ADD_KEYPTR(hh, l->by_shape, c->shape, strlen(c->shape), c);
}

void finish_look_forget_shapes(Look *l)
{
    LookClass *c, *next;
    HASH_ITER(hh, l->by_shape, c, next)
    {
        HASH_DEL(l->by_shape, c);
        free(c->shape);
        free(c);
    }
}

static void set_digits(json_t *o, char digit)
{
    const char *text = json_string_value(json_object_get(o, "text"));
    if (!text) return;
    char *with = text_copy(text);
    for (char *p = with; *p; p++)
        if (*p >= '0' && *p <= '9') *p = digit;
    json_object_set_new(o, "text", json_string(with));
    free(with);
}

json_t *finish_look_with_digit(const json_t *texts, char digit)
{
    size_t i;
    json_t *copy = json_deep_copy(texts), *o;
    if (json_is_object(copy)) set_digits(copy, digit);
    json_array_foreach(copy, i, o) set_digits(o, digit);
    return copy;
}
