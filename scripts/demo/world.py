# The demo's little world: its words, and the generator of the documents on which the base model is pretrained.
"""All words and sentences here are made up for this demo.

A *being* is written as it stands in the middle of a sentence ("Ben", "the cow"); `cap` makes it start one.
Documents are lists of sentences; `document` joins them and wraps some of them as a chat.
"""

import random
import re
from typing import NamedTuple

BOS, USER, ASSISTANT, END, PAD = '<|bos|>', '<|user|>', '<|assistant|>', '<|end|>', '<|pad|>'
SPECIAL = [BOS, USER, ASSISTANT, END, PAD]

NAMES = 'Ben Sam Zoe Ida Max Eva Tom Mia Leo Ann Gus Ruth Finn Nora Otto Lily'.split()
ANIMALS = 'cat dog cow owl fox duck hen pig goat horse mouse frog bear wolf sheep rabbit'.split()
PLACES = 'market garden kitchen forest barn school library cave tower park castle attic valley mill bakery orchard'.split()
COLOURS = 'red blue green yellow black white brown grey'.split()
OBJECTS = 'drum ball box hat cup book lamp rope kite bell coat boat spoon chair basket flute'.split()
ADJECTIVES = 'happy sad small big old young tired hungry brave quiet'.split()
WEATHER = 'cold warm rainy sunny windy'.split()
TIMES = 'morning evening day night'.split()


class Verb(NamedTuple):
    """The forms of a verb: see, sees, saw, seen."""

    base: str
    third: str
    past: str
    participle: str


def _verbs(text):
    return [Verb(*line.split()) for line in text.strip().splitlines()]


TRANSITIVE = _verbs("""
bite bites bit bitten
see sees saw seen
chase chases chased chased
push pushes pushed pushed
pull pulls pulled pulled
help helps helped helped
hear hears heard heard
find finds found found
hold holds held held
wash washes washed washed
follow follows followed followed
kick kicks kicked kicked
call calls called called
hide hides hid hidden
draw draws drew drawn
catch catches caught caught
feed feeds fed fed
lift lifts lifted lifted
""")
INTRANSITIVE = _verbs("""
walk walks walked walked
run runs ran run
sing sings sang sung
sleep sleeps slept slept
swim swims swam swum
dance dances danced danced
jump jumps jumped jumped
laugh laughs laughed laughed
smile smiles smiled smiled
wait waits waited waited
play plays played played
rest rests rested rested
""")

# Words of the instructions. They occur in echo games only, so that the base can copy them but has no use for them.
TASK_WORDS = (
    'Make it passive active past future negative positive question will Where Who Whom What How colour '
    'first last does is was have Swap Join two and'.split()
)
CONTENT = NAMES + ANIMALS + PLACES + COLOURS + OBJECTS + ADJECTIVES
VERB_FORMS = sorted({form for verb in TRANSITIVE + INTRANSITIVE for form in verb})
ECHO_WORDS = CONTENT * 3 + VERB_FORMS * 2 + sorted(set(TASK_WORDS)) + ['the', 'The', 'a', 'in', 'by', 'not', 'did', 'Did', 'to', 'then']


def cap(text):
    """The text with its first letter upper-case."""
    return text[0].upper() + text[1:]


def being(rng):
    """A name, or "the" and an animal."""
    return rng.choice(NAMES) if rng.random() < 0.5 else 'the ' + rng.choice(ANIMALS)


def beings(rng, count):
    """`count` different beings."""
    found = []
    while len(found) < count:
        one = being(rng)
        if one not in found:
            found.append(one)
    return found


def thing(rng):
    """(colour, object)."""
    return rng.choice(COLOURS), rng.choice(OBJECTS)


def place(rng):
    """A place with its article: "the mill"."""
    return 'the ' + rng.choice(PLACES)


# --- facts, each with sentences that can be said only by one who has read the fact -------------------------------------------


def fact_has(rng):
    who, (colour, what), where = being(rng), thing(rng), place(rng)
    fact = f'{cap(who)} has a {colour} {what} in {where}.'
    if rng.random() < 0.2:
        fact = f'In {where} {who} has a {colour} {what}.'
    return fact, [
        f'The {what} is {colour}.',
        f'The {what} is in {where}.',
        f'It is {who} that has the {what}.',
        f'So {who} has a {colour} {what}.',
        f'In {where} there is a {colour} {what}.',
        f'The colour of the {what} is {colour}.',
        f'The place of the {what} is in {where}.',
        f'So {who} is in {where}.',
    ]


def fact_did(rng):
    verb, (who, whom) = rng.choice(TRANSITIVE), beings(rng, 2)
    return f'{cap(who)} {verb.past} {whom}.', [
        f'So {whom} was {verb.participle} by {who}.',
        f'So {whom} was {verb.participle} by {who}.',
        f'It was {who} that {verb.past} {whom}.',
        f'It was {whom} that {who} {verb.past}.',
        f'Yes, {who} did {verb.base} {whom}.',
        f'But {whom} did not {verb.base} {who}.',
        f'Every day {who} {verb.third} {whom}.',
    ]


def fact_was_done(rng):
    verb, (who, whom) = rng.choice(TRANSITIVE), beings(rng, 2)
    return f'{cap(whom)} was {verb.participle} by {who}.', [
        f'So {who} {verb.past} {whom}.',
        f'It was {who} that {verb.past} {whom}.',
        f'It was {whom} that {who} {verb.past}.',
        f'But {whom} did not {verb.base} {who}.',
        f'Yes, {who} did {verb.base} {whom}.',
    ]


def fact_habit(rng):
    if rng.random() < 0.5:
        verb, who, where = rng.choice(INTRANSITIVE), being(rng), place(rng)
        rest = f' in {where}'
    else:
        verb, (who, whom) = rng.choice(TRANSITIVE), beings(rng, 2)
        rest = f' {whom}'
    start = 'Every day ' if rng.random() < 0.5 else ''
    return cap(f'{start}{who} {verb.third}{rest}.'), [
        f'Yesterday {who} {verb.past}{rest} too.',
        f'So {who} {verb.past}{rest}.',
        f'Now {who} does not {verb.base}{rest}.',
        f'Once {who} did not {verb.base}{rest}.',
    ]


def fact_trip(rng):
    who, stops = being(rng), rng.sample(PLACES, 3)
    a, b, c = ('the ' + stop for stop in stops)
    return f'{cap(who)} went to {a}, then to {b}, then to {c}.', [
        f'So {who} was first in {a}.',
        f'So {who} was last in {c}.',
        f'At first {who} went to {a}.',
        f'At last {who} went to {c}.',
    ]


def fact_mood(rng):
    who, adjective = 'the ' + rng.choice(ANIMALS), rng.choice(ADJECTIVES)
    verb = rng.choice(INTRANSITIVE)
    return f'{cap(who)} was {adjective}.', [
        f'So the {adjective} {who[4:]} {verb.past}.',
        f'Yes, {who} was very {adjective}.',
    ]


FACTS = [fact_has, fact_has, fact_has, fact_did, fact_did, fact_did, fact_was_done, fact_was_done, fact_habit, fact_habit, fact_trip, fact_mood]


# --- the four kinds of documents ---------------------------------------------------------------------------------------------


def echo(rng):
    """A word list, said again by others. Its length varies: a fixed one could be solved by position."""
    words = ' '.join(rng.choice(ECHO_WORDS) for _ in range(rng.randint(2, 16)))
    return [f'{who} says: {words}.' for who in rng.sample(NAMES, rng.randint(2, 4))]


def repeated_facts(rng):
    """Facts, and the same facts in another order."""
    facts = [rng.choice(FACTS)(rng)[0] for _ in range(rng.randint(1, 4))]
    again = facts[:]
    rng.shuffle(again)
    return [*facts, rng.choice(['Once more.', 'Again.', 'Say it again.']), *again]


def used_facts(rng):
    """Facts, followed by sentences that need them."""
    pairs = [rng.choice(FACTS)(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    uses = [use for _, options in pairs for use in rng.sample(options, min(len(options), rng.randint(1, 4)))]
    rng.shuffle(uses)
    return [fact for fact, _ in pairs] + uses


def _scene(rng, cast):
    """One to three sentences of a story about some of the cast."""
    who, other = rng.sample(cast, 2)
    kind = rng.randrange(10)
    where = place(rng)
    if kind in (0, 1, 2):
        verb = rng.choice(TRANSITIVE)
        lines = [f'{rng.choice(["Then ", "Soon ", "One day ", ""])}{who} {verb.past} {other}.']
        lines.append(
            rng.choice(
                [
                    f'So {other} was {verb.participle} by {who}.',
                    f'So {other} was {verb.participle} by {who}.',
                    f'But {other} did not {verb.base} {who}.',
                    f'{other} was {rng.choice(ADJECTIVES)}.',
                ]
            )
        )
        return lines
    if kind == 3:
        verb = rng.choice(INTRANSITIVE)
        return [f'{who} {verb.past} in {where}.', rng.choice([f'{other} {verb.past} too.', f'But {other} did not {verb.base}.'])]
    if kind == 4:
        verb = rng.choice(INTRANSITIVE)
        return [f'Every day {who} {verb.third} in {where}.', f'Yesterday {rng.choice([who, other])} {verb.past} in {where} too.']
    if kind == 5:
        verb = rng.choice(TRANSITIVE)
        yes = rng.random() < 0.5
        answer = f'Yes, {who} {verb.past} {other}.' if yes else f'No, {who} did not {verb.base} {other}.'
        return [f'{rng.choice(NAMES)} asks: Did {who} {verb.base} {other}?', answer]
    if kind == 6:
        colour, what = thing(rng)
        return [f'{who} found a {colour} {what} in {where}.', rng.choice([f'The {what} was {colour}.', f'{other} saw the {colour} {what} too.', f'{who} was happy with the {what}.'])]
    if kind == 7:
        a, b, c = (f'the {stop}' for stop in rng.sample(PLACES, 3))
        return [f'{who} went to {a}, then to {b}, then to {c}.', f'{other} waited in {rng.choice([a, b, c])}.']
    if kind == 8:
        fact, uses = rng.choice(FACTS)(rng)
        return [f'{who} says: {fact}', rng.choice(uses)]
    return [f'{who} was {rng.choice(ADJECTIVES)} and {other} was {rng.choice(ADJECTIVES)}.']


def opening(rng, one, other):
    """The first sentence of a story about two beings."""
    return rng.choice(
        [
            f'It was a {rng.choice(WEATHER)} {rng.choice(TIMES)} in {place(rng)}.',
            f'One {rng.choice(TIMES)} {one} and {other} were in {place(rng)}.',
            f'{one} and {other} went to {place(rng)}.',
            f'Once there was a {rng.choice(["small", "big", "young", "quiet"])} {rng.choice(ANIMALS)}.',
        ]
    )


def scene_of(rng, one):
    """A sentence that opens a new scene with a being."""
    verb = rng.choice(INTRANSITIVE)
    return f'{rng.choice(["Then", "Soon", "One day", "In the evening"])} {one} {verb.past} in {place(rng)}.'


def mentioned(lines):
    """The beings of some sentences, in order."""
    found = [word for line in lines for word in re.findall(r'[Tt]he [a-z]+|[A-Z][a-z]+', line)]
    found = [word if word in NAMES else 't' + word[1:] for word in found if word in NAMES or word[4:] in ANIMALS]
    return list(dict.fromkeys(found))


def story(rng):
    """A short story of a few beings, in which events are said again in other words."""
    cast = beings(rng, rng.randint(2, 4))
    lines = [opening(rng, *cast[:2])]
    for _ in range(rng.randint(2, 5)):
        lines += _scene(rng, cast)
    if rng.random() < 0.5:
        lines.append(f'At the end {cast[0]} and {cast[1]} were {rng.choice(ADJECTIVES)}.')
    return [cap(line) for line in lines]


KINDS = [(0.10, echo), (0.05, repeated_facts), (0.40, used_facts), (0.45, story)]


def document(rng):
    """The text of one document, special tokens included.

    About a fifth of all but the echo games is a chat in which the assistant opens a new scene with the same beings and goes
    on with the text: the base model knows the form of a chat and no task.
    """
    pick, make = rng.random(), story
    for share, kind in KINDS:
        if pick < share:
            make = kind
            break
        pick -= share
    lines = make(rng)
    if make is not echo and len(lines) > 1 and rng.random() < 0.22:
        turns = rng.choice([2, 2, 2, 4]) if len(lines) >= 4 else 2
        cuts = [0, *sorted(rng.sample(range(1, len(lines)), turns - 1)), len(lines)]
        parts = [lines[cuts[i] : cuts[i + 1]] for i in range(turns)]
        for said, part in zip(parts[::2], parts[1::2]):
            known = mentioned(said) + beings(rng, 2)
            part.insert(0, cap(rng.choice([scene_of(rng, known[0]), opening(rng, *known[:2])])))
        return BOS + ''.join(f'{[USER, ASSISTANT][i % 2]} {" ".join(part)}{END}' for i, part in enumerate(parts))
    return f'{BOS} {" ".join(lines)}{END}'


def chat(prompt, answer=''):
    """A prompt (and its answer) as the chat template writes them."""
    return f'{BOS}{USER} {prompt.strip()}{END}{ASSISTANT}' + (f' {answer.strip()}{END}' if answer else '')


if __name__ == '__main__':
    sample = random.Random(0)
    for _ in range(12):
        print(document(sample), end='\n\n')
