import { readAuthPreference as row } from '../../api/operations/cluster.ts';
import { implementing } from '../implementing.ts';
import { secondFactorOf } from '../lookups.ts';

export const readAuthPreference = implementing(row, ({ views }) =>
  Promise.resolve({ type: 'local', secondFactor: secondFactorOf(views) }),
);
