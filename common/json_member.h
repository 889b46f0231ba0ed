/* json_member.h - what one key of a JSON object holds, as a C value. For documents that the program wrote itself: a key that is
 * absent, or holds another kind of value, gives the fallback and is no fault. Files that people write are read with json_fields.h,
 * which names each fault. `o` may be NULL: it holds nothing. Texts belong to `o`. */
#ifndef REELWRIGHT_JSON_MEMBER_H
#define REELWRIGHT_JSON_MEMBER_H

#include <jansson.h>

static inline const char *member_text(const json_t *o, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : fallback;
}

/* The same where an empty text means nothing either: a template whose column is empty for this customer. */
static inline const char *member_filled(const json_t *o, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text && *text ? text : fallback;
}

static inline double member_number(const json_t *o, const char *key, double fallback)
{
    const json_t *n = json_object_get(o, key);
    return json_is_number(n) ? json_number_value(n) : fallback;
}

#endif
