import { expect, it } from 'vitest';
import { loginsFor } from './add-user.ts';

it('takes the name as the one login only where it can be a login', () => {
  expect(loginsFor('carl', [])).toEqual(['carl']);
  expect(loginsFor('carl@example.com', ['carl', 'root'])).toEqual(['carl', 'root']);
  for (const name of ['carl@example.com', "o'neil", 'carl+ops', 'a'.repeat(33)])
    expect(() => loginsFor(name, [])).toThrow(/cannot be a login on a server: give the logins/);
});
