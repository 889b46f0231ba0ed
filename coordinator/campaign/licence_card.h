/* licence_card.h - what a model card says of licence and training data: the YAML between two lines of "---" in front of README.md. Other
 * keys are none of ours, and a card that is damaged says nothing. */
#ifndef REELWRIGHT_CAMPAIGN_LICENCE_CARD_H
#define REELWRIGHT_CAMPAIGN_LICENCE_CARD_H

#include <stddef.h>

enum { LICENCE_CARD_BYTES = 1 << 20, LICENCE_CARD_PARTS = 16 };

typedef struct {              /* owns its texts; licence_card_clear */
    char *licence, *training; /* NULL: nothing is said */
    int count;                /* of single parts: licences: {vae: NAME} */
    char *part[LICENCE_CARD_PARTS], *part_licence[LICENCE_CARD_PARTS];
} LicenceCard;

/* Of "license: other" the name under license_name counts. */
void licence_card_parse(const char *text, size_t bytes, LicenceCard *out);
void licence_card_clear(LicenceCard *c);

#endif
