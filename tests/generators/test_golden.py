"""The bytes of every family are pinned: if one changes, its version must rise."""

import hashlib

import numpy as np
import pytest

from nexus_bench.data.splits import Splits
from nexus_bench.data.task import make_task
from nexus_bench.generators.base import GENERATORS

OOD = {  # what else each family can be asked: hops beyond training, and larger graphs of the same symbols
    "ancestor": {"hop_ood": [4, 5], "size_ood": {"n_trees": 5}, "vocab_size": 200, "n_queries": 6},
    "k_hop_induction": {"hop_ood": [4]},
    "path_query": {"hop_ood": [4], "size_ood": {"n_nodes": 16}, "vocab_size": 60, "n_queries": 12},
    "path_star": {"hop_ood": [4], "size_ood": {"n_arms": 5}, "vocab_size": 200, "n_queries": 4},
    "pointer_chase": {"hop_ood": [4, 5], "size_ood": {"n_nodes": 24}, "n_queries": 8},
    "reachable": {"hop_ood": [4, 5], "size_ood": {"length": 10}, "vocab_size": 100, "n_queries": 8},
    "group_word": {"hop_ood": [4], "size_ood": {"n_paths": 6}, "pattern_ood": True, "vocab_size": 100, "n_queries": 4},
    "kinship": {"hop_ood": [4], "size_ood": {"n_sets": 3}, "pattern_ood": True, "vocab_size": 200, "n_queries": 2},
    "ordering": {"hop_ood": [4], "size_ood": {"n_items": 20}, "vocab_size": 100, "n_queries": 4},
    "rule_chain": {"hop_ood": [4], "size_ood": {"n_ladders": 4}, "vocab_size": 100, "n_queries": 4},
    "spatial": {"hop_ood": [4], "size_ood": {"n_objects": 12}, "vocab_size": 100, "n_queries": 4},
    "variable_chain": {
        "hop_ood": [4],
        "size_ood": {"n_chains": 5},
        "vocab_size": 100,
        "n_constants": 12,
        "n_queries": 4,
    },
    "shortest_path": {"hop_ood": [4], "size_ood": {"n_nodes": 32}, "vocab_size": 100},
}

# family and version -> split -> SHA-256 of hops 2-3 at seed 7: 1,100 training, 13 validation, 17 test graphs
GOLDEN: dict[str, dict[str, str]] = {
    "ancestor 1": {
        "train": "5ead031d7ce42d3f639a39638bb6445d2d17843978acd9101681f64eff26833a",
        "test": "f1aae8c0d148da6959a3406dc661118a17c8e8c739d10ccf159e659563a1ad71",
        "val": "19ce56c61a4b7cc67896b514c7e9b8d3c2e89abbbbd8dbb828ea1ff30b8121d4",
        "hop_ood": "f07cf382e1ff828fe7fa0f7ca76726ffed747a0d652992a285d84c147501907d",
        "size_ood": "02dccdfb7d3715c6856e17d825d73e44755e336d7a176ea70e6421dc9e6a3852",
    },
    "k_hop_induction 1": {
        "train": "3df3a5bfa1275cbcc7d0953255b318c3bb628a7dd018e9e82fa0ac9fca91fe6b",
        "test": "d7cce8e498f7ac77f2d7b5ab067f01583f5cd1cc5abf53279a174e46905d34d6",
        "val": "160965b8aa3dbf970e84a52c0dcd1f86b84d6a9ba0df592a878f72cc886340f6",
        "hop_ood": "f11544cd9089b25c55eccce8c47b7f92199c080ef7c5180594386840fe1e7bcf",
    },
    "path_query 1": {
        "train": "cdd66fc80e7e71ca482425d7051ff0770594ca2626c5ac2cd57be921f9a39a32",
        "test": "1982a7839731f3b50e127b9e56887828c4184bd47f2ad197126e6117e4d05e82",
        "val": "e3c7f2b5718deb017a167f550910906e2fbb1d682f2e8bdd108906d20b4e2b9f",
        "hop_ood": "d0e23e05f1f4265ec4a623605af789981d8f23930fc048820e90850e840a760d",
        "size_ood": "7039f40853bbcf8c0ef0e4c0cf3a380e7b41d130bfda82f55932b85374f93bb3",
    },
    "path_star 1": {
        "train": "26272fcfd81c50ddda5f7a771dc8006b8a08909f942be6803a9a01af4818e751",
        "test": "f8c4cb9c33ba41539e8fd7262179f6f465a85104a4a8df15ca8d38bbf8f808f2",
        "val": "12bae89f1abc6402d970ee73f177413b12379cbeacbdae8959d777ba5b7a284b",
        "hop_ood": "800c40ba5c4fc8deaa10183f4c7a17d3dd1a05b328faa90a74f8ecff765e349a",
        "size_ood": "1b58e32aae8d8355a5e83e24923221ac184619268b149c5149869d116d1019b1",
    },
    "pointer_chase 1": {
        "train": "297d6c99a883cda1cc1d5b48027fd3b70ad88c8771549ef8a7d6c557a0069136",
        "test": "b2d5d705131e568bf5cfa836976f625808c040763e67c3a38dd45070bfafafd9",
        "val": "79707d4ff124c9340f21d985f7edc338be9a437609a1e7364090d69ff8dcb63f",
        "hop_ood": "2ec598be2ed9c0e19545b35ca38f791eea823135fb95803ef432d70ff19a7979",
        "size_ood": "c856668694cc2f4e25d6f551d77d9d8419ba6e29c8b755f8cbb9832ecf3dccfa",
    },
    "reachable 1": {
        "train": "a1dda51d43bf44c9681d10ddb52bf42a7d8db23780686e7d75239167907be89c",
        "test": "fe7ff9be064582b5ac1b869643382531585f9baabe3a9d7c36b9d504feb4e628",
        "val": "2c201541b16ec9e588f21f508e897edb54a99f364b89a94fca4376298b5341ed",
        "hop_ood": "849c449781b8739eef33e57bcc6d0aba8e443e90e21aaaade89795b532bf000b",
        "size_ood": "574f9145535ced2b84e89aa343f1afc474abae683ffe77e9a01aa99e82898b66",
    },
    "shortest_path 1": {
        "train": "b9221f2dcd770140076db15c7435e58751704ba31d3dfc06ca8d7a172e5ea842",
        "test": "0c0f7d43c722020fdf92fb2ed08f168c8f81927e05dda0d59e95bbf0892d08ad",
        "val": "25eebec2f74fd270ec5ce53f85645562391c11b6a1ff55cbe274f138f0a7fd30",
        "hop_ood": "514ea3d0c287a5f5442a1f15942fc64178fca83374f6015c53658cf262e42142",
        "size_ood": "ddfc9c484787e4ce9f025d944797c5a44ee2facbf24a8d582d4ad4a880c8cfb3",
    },
    "group_word 1": {
        "train": "10554f59f5faeb0dd4b7421c46c37593521fa3720b7c650a563cfba257ab48b6",
        "test": "05f6088cb7bb8c0a1d36838dfb3c0383f1891bacf56ddcd6d9493baee6997ebb",
        "val": "de43b6bd620c071dbddd7646c9652fe2d91f3b45c915468719cf7fda54ed144d",
        "hop_ood": "b4eed8724ca0450eaee8a841b08ffacc9c8ac6f2a20410479ca9630bd5de2571",
        "size_ood": "08f823cf24ba180111a4ea36d6eeaf76c51d9ecec30b0de2c7c8edbc023955db",
        "pattern_ood": "0f39086fa9d4c2997f3d479787e9dc117d04c5667211b9d387b258316fdb4e85",
    },
    "kinship 2": {
        "train": "7d14d58c408b85e8159fb865de9db3a3dd428607329ccb2528671dbaaa7b7a69",
        "test": "9113d1bdf52cfc53c293bf2b76789cb3ef62326b03ee33d03ba3abcb56bf4cde",
        "val": "167084db4baec4cff9338f479ad0bd373b17a24154fba0d8e33ef5e3adb18ad8",
        "hop_ood": "6913ef4a00bef5110ed27992d48affffc4ea525c02162cd5fcff3054d52a9629",
        "size_ood": "04e9d8629cfc11d36fef41e493ee402c5cd7ea108cdaa3028cb199d6e3eca719",
        "pattern_ood": "f047802ea54ef449b1fee3adf8551872ac3f11e019180aa97981ecf38aebe37f",
    },
    "ordering 1": {
        "train": "56595b910123afc32eeb1d290281cfb4fb7e241cdd80b3b9f50c2d7c00c95fd1",
        "test": "81dad6db1a79464ea028304a4e156d030a3cdad11a776dc70e58f63a24c4359d",
        "val": "06c924e70f411e0426eea13904d68df7a6e188bdb635b12336a0e49aafd8fc09",
        "hop_ood": "05cf94ee47459c2545c547b972db403d6e61aa4b2f9a57d94884aa780d2df343",
        "size_ood": "ec74a0bddd0ded9831ed787183d9d087e835a99006e05d6a604d1ba7bd3b78b9",
    },
    "rule_chain 2": {
        "train": "77428e7da781a5c89f361c977aaa00b1f77ac07bf55444f965679a864590f57c",
        "test": "bd25346b018e91893e151458a190285a62b470a6250e4bd419eaff576d60abb2",
        "val": "8d740a5ae4d8ac8b229316940e46531dd3734a3677b412cef533f68de9616680",
        "hop_ood": "fe91996910f61a30c3d812cb5af866e3bdfc5cf799f99d889844060cbf232a3e",
        "size_ood": "dd8627fafef9255e98775e7f3dc1e9de7173bc9c8f905ec65bbba7bc1abed40c",
    },
    "spatial 1": {
        "train": "5b42986e4c01f8bfdd9f10c8c059f29242f8f185e75ee7314f2f2f3dbc5d24a1",
        "test": "75f1669fabe63177c9ed87e798ece079f478a1d2cfc13403e5a802d009825678",
        "val": "d2328deece8fb270ff0441eabfbd47ab08ac0c3e7e15cc9c585e316deced2430",
        "hop_ood": "71e5c0e44a75aeb83525d9d2ab89d2bb037676e388218997ff1c40b1df2607ac",
        "size_ood": "b22254e0c0091f5d3fa7b0af90d30b81f92dfa5abcf156dc9febf48db95fc693",
    },
    "variable_chain 1": {
        "train": "9a74a1e4d3843595300f685d26cc2728b0484835ee5c8c65309708d2b2c74607",
        "test": "8687f8f5e1ab74df257662717b6b595bc1db435c7e2283d7ca0414059ccd3893",
        "val": "879c9c53fd075de987be8c3b91b6d472340f816501cac54be8349437773f4b67",
        "hop_ood": "223adacf3c7c59748e49531f08d842a000a693a419221d04cc58ce05fd8722ed",
        "size_ood": "b4f292b8c19f991232338cf32e9731a5f022316c6ed1a00ea20ac6b03edef16c",
    },
}


def sha256(arrays: tuple[np.ndarray, ...]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
    return digest.hexdigest()


def digests(name: str) -> dict[str, str]:
    entry = {"task": name, "hops": [2, 3], "n_val": 13, "n_test": 17} | OOD.get(name, {})
    splits = Splits(make_task(entry, where="test").laws(), seed=7, n_val=13, n_test=17)
    held_out = {split: sha256(held.examples) for split, held in splits.held_out.items()}
    return {"train": sha256(splits.train(0, 1100)), **held_out}


@pytest.mark.parametrize("name", OOD)
def test_bytes_are_the_golden_ones(name: str) -> None:
    assert digests(name) == GOLDEN[f"{name} {GENERATORS.get(name).version}"]


def test_every_family_of_ours_is_pinned() -> None:
    ours = set(GENERATORS.own_names())
    assert {key.split()[0] for key in GOLDEN} == set(OOD) == ours, (
        "add a line to OOD, and what digests(name) gives to GOLDEN"
    )
