/* watermark_attacks.h - what is done to a marked clip on its way through the world. */
#ifndef REELWRIGHT_TEST_WATERMARK_ATTACKS_H
#define REELWRIGHT_TEST_WATERMARK_ATTACKS_H

#include <stdbool.h>

#include "tests/gate/scene.h"

typedef struct {
    const char *name;
    Status (*attack)(Scene *s); /* changes it; s may get another size and another number of pictures */
    bool survives;              /* shall */
} Attack;
extern const Attack watermark_attack[], watermark_still_attack[]; /* of clips; of one picture */
extern const int watermark_attacks, watermark_still_attacks;

#endif
