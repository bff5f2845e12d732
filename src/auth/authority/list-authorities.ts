import { listAuthorities as row } from '../../api/operations/authority.ts';
import { implementing } from '../implementing.ts';
import { signerOfCluster } from '../lookups.ts';

export const listAuthorities = implementing(row, async ({ views }, _call, { type }) => {
  await views.fresh();
  return { authorities: [signerOfCluster(views, type)] };
});
