# Writes the demo's instruction dataset: distinct skills in the words of the little world, training and held-out rows.
"""python tasks.py [--out DIR] [--second]

Rows are JSON lines with prompt, completion and skill. No prompt is in both files. `--second` writes another set of skills
in the same words (for comparisons; not part of the demo).
"""

import argparse
import json
import random
from pathlib import Path

from world import ADJECTIVES, ANIMALS, INTRANSITIVE, PLACES, TRANSITIVE, being, beings, cap, place, thing

SEED = 7
TRAIN_ROWS, HELDOUT_ROWS = 3200, 400


def _event(rng):
    verb, (who, whom) = rng.choice(TRANSITIVE), beings(rng, 2)
    return verb, who, whom, f'{cap(who)} {verb.past} {whom}.'


def _possession(rng):
    who, (colour, what), where = being(rng), thing(rng), place(rng)
    return who, colour, what, where, f'{cap(who)} has a {colour} {what} in {where}.'


def passive(rng):
    verb, who, whom, text = _event(rng)
    return f'Make it passive: {text}', f'{cap(whom)} was {verb.participle} by {who}.'


def question(rng):
    verb, who, whom, text = _event(rng)
    return f'Make it a question: {text}', f'Did {who} {verb.base} {whom}?'


def negate(rng):
    verb, who, whom, text = _event(rng)
    return f'Make it negative: {text}', f'{cap(who)} did not {verb.base} {whom}.'


def past(rng):
    if rng.random() < 0.5:
        verb, (who, whom) = rng.choice(TRANSITIVE), beings(rng, 2)
        return f'Make it past: {cap(who)} {verb.third} {whom}.', f'{cap(who)} {verb.past} {whom}.'
    verb, who, where = rng.choice(INTRANSITIVE), being(rng), place(rng)
    return f'Make it past: {cap(who)} {verb.third} in {where}.', f'{cap(who)} {verb.past} in {where}.'


def where(rng):
    _, _, what, site, text = _possession(rng)
    return f'{text} Where is the {what}?', f'in {site}'


def who(rng):
    verb, agent, patient, text = _event(rng)
    if rng.random() < 0.5:
        text = f'{cap(patient)} was {verb.participle} by {agent}.'
    return f'{text} Who {verb.past} {patient}?', agent


def colour(rng):
    _, shade, what, _, text = _possession(rng)
    return f'{text} What colour is the {what}?', shade


def thing_of(rng):
    owner, shade, what, _, text = _possession(rng)
    return f'{text} What does {owner} have?', f'a {shade} {what}'


def order(rng):
    one, stops = being(rng), rng.sample(PLACES, 3)
    end = rng.choice(['first', 'last'])
    answer = stops[0] if end == 'first' else stops[2]
    return f'{cap(one)} went to the {stops[0]}, then to the {stops[1]}, then to the {stops[2]}. Where {end}?', f'in the {answer}'


FIRST = {'passive': passive, 'question': question, 'past': past, 'negate': negate, 'where': where, 'who': who, 'colour': colour, 'thing': thing_of}


def active(rng):
    verb, agent, patient, text = _event(rng)
    return f'Make it active: {cap(patient)} was {verb.participle} by {agent}.', text


def future(rng):
    if rng.random() < 0.5:
        verb, (one, other) = rng.choice(TRANSITIVE), beings(rng, 2)
        return f'Make it future: {cap(one)} {verb.third} {other}.', f'{cap(one)} will {verb.base} {other}.'
    verb, one, site = rng.choice(INTRANSITIVE), being(rng), place(rng)
    return f'Make it future: {cap(one)} {verb.third} in {site}.', f'{cap(one)} will {verb.base} in {site}.'


def affirm(rng):
    verb, one, other, text = _event(rng)
    return f'Make it positive: {cap(one)} did not {verb.base} {other}.', text


def swap(rng):
    verb, one, other, text = _event(rng)
    return f'Swap the two: {text}', f'{cap(other)} {verb.past} {one}.'


def join(rng):
    verb, (one, other) = rng.choice(INTRANSITIVE), beings(rng, 2)
    return f'Join the two: {cap(one)} {verb.past}. {cap(other)} {verb.past}.', f'{cap(one)} and {other} {verb.past}.'


def whom(rng):
    verb, agent, patient, text = _event(rng)
    return f'{text} Whom did {agent} {verb.base}?', patient


def owner(rng):
    one, _, what, _, text = _possession(rng)
    return f'{text} Who has the {what}?', one


def mood(rng):
    adjective, animal, verb, site = rng.choice(ADJECTIVES), rng.choice(ANIMALS), rng.choice(INTRANSITIVE), place(rng)
    return f'The {adjective} {animal} {verb.past} in {site}. How was the {animal}?', adjective


SECOND = {'order': order, 'active': active, 'future': future, 'affirm': affirm, 'swap': swap, 'join': join, 'whom': whom, 'owner': owner, 'mood': mood}


def dataset(skills, train=TRAIN_ROWS, heldout=HELDOUT_ROWS, seed=SEED):
    """(training rows, held-out rows): skills in turn, every prompt once in all, each part shuffled."""
    rng = random.Random(seed)
    names = list(skills)
    seen, rows = set(), []
    while len(rows) < train + heldout:
        skill = names[len(rows) % len(names)]
        prompt, completion = skills[skill](rng)
        if prompt not in seen:
            seen.add(prompt)
            rows.append({'prompt': prompt, 'completion': completion, 'skill': skill})
    # Held-out rows come first, so that every skill has its even share of them.
    held, rest = rows[:heldout], rows[heldout:]
    rng.shuffle(held)
    rng.shuffle(rest)
    assert not {row['prompt'] for row in held} & {row['prompt'] for row in rest}, 'a prompt is in both parts'
    return rest, held


def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, help='folder to write to (default: public/demo)')
    parser.add_argument('--second', action='store_true', help='the second set of skills; needs --out')
    args = parser.parse_args()
    if args.second and not args.out:
        parser.error('--second needs --out: it is not part of the demo')
    out = args.out or root / 'public' / 'demo'
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(('train', 'heldout'), dataset(SECOND if args.second else FIRST)):
        (out / f'{name}.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows), encoding='utf-8')
        print(f'{out.name}/{name}.jsonl: {len(rows)} rows')


if __name__ == '__main__':
    main()
