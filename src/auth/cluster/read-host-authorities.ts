import { announcedOf } from '../../api/announced-authority.ts';
import { readHostAuthorities as row } from '../../api/operations/cluster.ts';
import { implementing } from '../implementing.ts';
import { signerOfCluster } from '../lookups.ts';

/**
 * What a machine compares with its pin, and follows a rotation by. Anyone may ask, so it does not read the
 * store.
 */
export const readHostAuthorities = implementing(row, ({ views }) =>
  Promise.resolve({
    ...signerOfCluster(views, 'host'),
    ...announcedOf(views.authorities.state().host.state),
  }),
);
