import { listIdentities as row } from '../../api/operations/identity.ts';
import { listedIdentities } from '../../views/identities.ts';
import { implementing } from '../implementing.ts';

export const listIdentities = implementing(row, async ({ views, world }, _call, { all }) => {
  await views.fresh();
  const listed = listedIdentities(views.identities.state(), { now: world.now(), all });
  return { identities: [...listed] };
});
