/* person.h - whether two names that people typed mean one person. */
#ifndef REELWRIGHT_PERSON_H
#define REELWRIGHT_PERSON_H

#include <stdbool.h>

/* Names are the same without regard to case, spaces around them, characters that nobody sees (a zero width space, a soft hyphen, a
 * direction mark) and the way that a letter is written (NFKC). A name that is no UTF-8 is compared byte by byte. */
bool person_is_same(const char *a, const char *b);

#endif
