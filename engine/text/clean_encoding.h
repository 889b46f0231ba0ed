/* clean_encoding.h - text that was written in UTF-8 and read in another encoding, put right (ftfy's fix_encoding). */
#ifndef REELWRIGHT_CLEAN_ENCODING_H
#define REELWRIGHT_CLEAN_ENCODING_H

#include "engine/text/clean_text.h"

void clean_encoding_fix(CleanText *t);

#endif
