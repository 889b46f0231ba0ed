/* landing_place.h - where in a page's HTML a value is put: that decides how it is written there, and whether it can be at all.
 *
 * A reader of tags, attributes, comments and scripts as WHATWG's tokenizer sees them (html.spec.whatwg.org, 13.2.5), as far as that
 * question needs it. It never fails: what it does not understand is text to a browser, too. */
#ifndef REELWRIGHT_LANDING_PLACE_H
#define REELWRIGHT_LANDING_PLACE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    LANDING_TEXT,     /* between tags, or in an attribute in quotes */
    LANDING_URL,      /* begins an attribute that holds an address */
    LANDING_URL_PART, /* goes on with one */
    LANDING_NOWHERE   /* no way of writing it is safe here */
} LandingPlace;

typedef struct { /* zero to begin with */
    int state;
    char tag[16], attribute[16], value[256]; /* lower case, cut; value: of the attribute, up to a variable */
    size_t value_bytes;
    bool closes, has_variable, has_base;
    char quote;
    /* told of each file that the page would load from beside it; NULL: nobody is */
    void (*file)(void *self, const char *address);
    void *self;
} LandingHtml;

void landing_html_pass(LandingHtml *h, const char *text, size_t bytes);
bool landing_html_is_comment(const LandingHtml *h); /* nobody reads what stands here */
/* A variable stands here. *why: what kind of place it is, for a message. Between tags, markup may stand, too. */
LandingPlace landing_html_place(LandingHtml *h, bool *markup, const char **why);

#endif
