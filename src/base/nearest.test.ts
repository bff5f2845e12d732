import { expect, it } from 'vitest';
import { nearest } from './nearest.ts';

const known = ['list', 'create', 'read', 'readnosecrets', 'update'];

it.each([
  ['raed', 'read'],
  ['lst', 'list'],
  ['Update', 'update'],
  ['readnosecret', 'readnosecrets'],
  ['crate', 'create'],
  ['frobnicate', undefined],
  ['', undefined],
  ['xy', undefined],
])('%s is nearest to %s', (text, expected) => {
  expect(nearest(text, known)).toBe(expected);
});

it('takes the first of equally near words', () => {
  expect(nearest('nodex', ['nodes', 'nodey'])).toBe('nodes');
});
