/* line.h: a message stays one line whatever it quotes. */
#ifndef BASE_LINE_H
#define BASE_LINE_H

/* line_only puts `?` in place of every control character; returns s. */
static inline char *line_only(char *s)
{
    for (char *p = s; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return s;
}

#endif
