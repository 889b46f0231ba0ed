/* likeness.h - how a shot names a picture of a person's face that lies encrypted in a trust store: as a file called
 * "cameo:ID/N@STORE". Whoever plans writes it so; a worker that meets it reads the store itself, into memory. */
#ifndef REELWRIGHT_LIKENESS_H
#define REELWRIGHT_LIKENESS_H

#include <stdbool.h>

enum { LIKENESS_ID_BYTES = 65 };

/* The N-th picture, from 0; free() it. */
char *likeness_path(const char *id, int picture, const char *store);
bool likeness_is(const char *path);
/* *store points into the path. False: it is none, or damaged. */
bool likeness_parse(const char *path, char id[LIKENESS_ID_BYTES], int *picture, const char **store);

#endif
