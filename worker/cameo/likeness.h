/* likeness.h - a person's face on its way from the trust store into the engine: read, decrypted and decoded in memory, and only with
 * a consent that holds at this moment. Nothing of it is ever written. */
#ifndef REELWRIGHT_WORKER_LIKENESS_H
#define REELWRIGHT_WORKER_LIKENESS_H

#include <jansson.h>

#include "common/command.h"
#include "common/hash.h"
#include "worker/pictures/image.h"

/* Appends the picture that the path names (common/likeness.h), when somebody may still be shown it: the person has at least one consent
 * that holds now. For which clip, the coordinator has asked before it gave the lease and the finish asks again. sha256: of the
 * picture's file that the shot was planned with. ERR_RETRY: no consent holds, or another picture is there by now; ERR_NODE: this
 * machine cannot read the store. Messages name no person. */
Status likeness_read(const char *path, const char *sha256, ImageList *list);

/* Whether this clip may be made: campaign and clip are the documents that it is finished with (finish_spec.h). OK where it shows nobody.
 * ERR_RETRY: no consent for exactly this. ERR_NODE: the store cannot be read here. */
Status likeness_check(const char *campaign, const char *clip);

/* SHA-256 of the consent's document that allows this clip now, for its credentials. Errors as likeness_check. */
Status likeness_consent(const json_t *trust, const json_t *cameo, char sha256[HASH_TEXT]);

/* The person's voice for an engine that is a program of its own: a WAV file in memory that children inherit as descriptor LIKENESS_VOICE_FD
 * ("/dev/fd/200"), until likeness_voice_end. trust and cameo: those documents. The consent is asked for now; its number is what the engine
 * has to echo. ERR_RETRY, ERR_NODE as likeness_check; ERR_CLIP: the cameo has no voice. */
enum { LIKENESS_VOICE_FD = COMMAND_INHERITED_FD };
Status likeness_voice(const json_t *trust, const json_t *cameo, int *consent, char sha256[HASH_TEXT]);
void likeness_voice_end(void);
/* The same for a shot, which may be of several clips: path and sha256 of its voice, errors and what is asked are likeness_read's. */
Status likeness_shot_voice(const char *path, const char *sha256, int *consent);
/* The same with the first picture of their face, for a command that compares it with the clip. Closed by likeness_voice_end. */
Status likeness_face(const json_t *trust, const json_t *cameo, int *consent, char sha256[HASH_TEXT]);

#endif
