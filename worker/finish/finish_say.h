/* finish_say.h - one voice to listen to. */
#ifndef REELWRIGHT_FINISH_SAY_H
#define REELWRIGHT_FINISH_SAY_H

#include "common/status.h"

/* One voice as a WAV file, for `reelwright voices`. spec: the document's "voice". *seconds: how long it is. */
Status finish_say(const char *spec, const char *path, double *seconds);

#endif
