/* fuzz_landing.c - any text as the HTML that stands before a value, cut anywhere: the place is the same in one piece and in two; and a value
 * is between tags only where the reader has seen every tag end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/campaign/landing_place.h"

static void note(void *self, const char *address)
{
    if (!*address) abort();
    ++*(int *)self;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *why;
    const size_t cut = size ? data[0] % size : 0;
    int files[2] = {0};
    bool markup[2];
    LandingHtml one = {.file = note, .self = &files[0]}, two = {.file = note, .self = &files[1]};
    landing_html_pass(&one, text, size);
    landing_html_pass(&two, text, cut);
    landing_html_pass(&two, text + cut, size - cut);
    LandingPlace place = landing_html_place(&one, &markup[0], &why);
    if (!*why || place != landing_html_place(&two, &markup[1], &why) || markup[0] != markup[1] || files[0] != files[1])
        abort();
    if (markup[0] && place != LANDING_TEXT) abort();
    return 0;
}
