"""The bytes of every family are pinned: if one changes, its version must rise."""

import pytest

from nexus_bench.data.digests import digests
from nexus_bench.data.task import make_task
from nexus_bench.generators.base import GENERATORS

OOD = {  # what else each family can be asked: hops beyond training, and larger graphs of the same symbols
    "alternating_blocks": {"size_ood": {"n_tokens": 90, "min_tokens": 70}},
    "ancestor": {"hop_ood": [4, 5], "size_ood": {"n_trees": 5}, "vocab_size": 200, "n_queries": 6},
    "k_hop_induction": {"hop_ood": [4]},
    "path_query": {"hop_ood": [4], "size_ood": {"n_nodes": 16}, "vocab_size": 60, "n_queries": 12},
    "path_star": {"hop_ood": [4], "size_ood": {"n_arms": 5}, "vocab_size": 200, "n_queries": 4},
    "pointer_chase": {"hop_ood": [4, 5], "size_ood": {"n_nodes": 24}, "n_queries": 8},
    "reachable": {"hop_ood": [4, 5], "size_ood": {"length": 10}, "vocab_size": 100, "n_queries": 8},
    "group_word": {"hop_ood": [4], "size_ood": {"n_sets": 4}, "pattern_ood": True, "vocab_size": 100, "n_queries": 2},
    "kinship": {"hop_ood": [4], "size_ood": {"n_sets": 3}, "pattern_ood": True, "vocab_size": 200, "n_queries": 2},
    "ordering": {"hop_ood": [4], "size_ood": {"n_items": 20}, "vocab_size": 100, "n_queries": 4},
    "rule_chain": {"hop_ood": [4], "size_ood": {"n_ladders": 4}, "vocab_size": 100, "n_queries": 4},
    "spatial": {"hop_ood": [4], "size_ood": {"n_sets": 3}, "vocab_size": 120, "n_queries": 4},
    "variable_chain": {
        "hop_ood": [4],
        "size_ood": {"n_chains": 5},
        "vocab_size": 100,
        "n_constants": 12,
        "n_queries": 4,
    },
    "hop_k": {"size_ood": {"n_tokens": 60, "min_tokens": 50}, "n_tokens": 40, "min_tokens": 20},
    "brevo": {"hop_ood": [4], "min_nodes": 7},
    "depo": {"size_ood": {"n_nodes": 30}, "min_nodes": 12},
    "hash_hop": {"size_ood": {"n_chains": 11}},
    "fact_composition": {"hops": [1, 2], "pattern_ood": True, "ratio": 5},
    "mano": {},
    "mqar": {"hops": [1], "size_ood": {"n_tokens": 90}},
    "path_tokens": {"hops": [1, 3], "hop_ood": [4], "size_ood": {"n_arms": 5}},
    "word_problem": {"hop_ood": [4], "size_ood": {"n_tokens": 20}, "n_tokens": 16, "min_tokens": 5},
    "shortest_path": {"hop_ood": [4], "size_ood": {"n_nodes": 32}, "vocab_size": 100},
}

# family and version -> split -> SHA-256 of hops 2-3 at seed 7: 1,100 training, 13 validation, 17 test graphs
GOLDEN: dict[str, dict[str, str]] = {
    "alternating_blocks 1": {
        "train": "0a9aa96c4a8546d7e43f50688584069968d5f99f9bca70a9343a939d549e11cb",
        "test": "121bb85a38836c43ba62a994375c9a6eda37b8e20867c5f52370019427a6673c",
        "val": "9b04f13e8f38ca8dbcad30cd7c6593d42e4ccb78c9f6b6e91008bbafd7260315",
        "size_ood": "9c91d140e25d978e94eb5cc5343de98d03f593d8424baf872abe83e1873bf9c0",
    },
    "ancestor 1": {
        "train": "5ead031d7ce42d3f639a39638bb6445d2d17843978acd9101681f64eff26833a",
        "test": "f1aae8c0d148da6959a3406dc661118a17c8e8c739d10ccf159e659563a1ad71",
        "val": "19ce56c61a4b7cc67896b514c7e9b8d3c2e89abbbbd8dbb828ea1ff30b8121d4",
        "hop_ood": "f07cf382e1ff828fe7fa0f7ca76726ffed747a0d652992a285d84c147501907d",
        "size_ood": "02dccdfb7d3715c6856e17d825d73e44755e336d7a176ea70e6421dc9e6a3852",
    },
    "brevo 1": {
        "train": "1f98be1a137f364c7fecad628214b0611d51d1cc9cfd7ac106c4eca98b7dc06f",
        "test": "b725068d31f2ac136f5817f7d1ad931e16704e5cf2ee8466127ae9a928dedae1",
        "val": "e43841d0de86e699813e99d4bf4e36cb823be8197b613d08214eb1cc586c8739",
        "hop_ood": "a171098bf3003b2f7b670a6b297469d004a2b96264a6d8cb5f8355fc5d291bfd",
    },
    "depo 1": {
        "train": "ddb7a6507524548f58c873440080709021beb39eae90de12b4ce40ca7ae9d4a6",
        "test": "5808c7511727067dbe0bf89746435364d742764c47b1322e6503aa2c618ed2ea",
        "val": "232f0a8a8c5a6cc3ab44c7ddebed3bd6b03eae50932972e2e831c78df0e991cb",
        "size_ood": "e50d32674d0041c267e86b7fca47f268e935a16fe32583ac937cfe9894ed997c",
    },
    "fact_composition 1": {
        "train": "738d2ff65d73fc6f0aa78831018a3b5ca7bf2197c9f4629e62ffbba56d8bbbc2",
        "test": "72fe91ce3fef95686733f2d6031dda7520c2cb85ee9862f25c0362acb9d0c2e5",
        "val": "be129ea881e61efc98f6d5b16443c083bb75f8de8927c964080293c3744216d6",
        "pattern_ood": "b9616300a17e6e4e447f3302a4faf1bc52947e68a2b15d115a8505827276c733",
    },
    "hash_hop 1": {
        "train": "0b64432b5d9058333aa4de0e74b372bb771a9b54dc3fed6ffda4718eb9e4a5c8",
        "test": "cd7bb4c2fcde7c0e14bf1529ea92d8ac727875b0ec2390da00da9db99aef1460",
        "val": "f48428c070f6c510be5096fe5a88724fff299476e3acf8542663740556c726eb",
        "size_ood": "31f707171225d9fa1cfeb77a4abc1eed3ec90031a9d60ab1b8648e3de1850df3",
    },
    "path_tokens 1": {
        "train": "2f937b7cc95a253b344b75d464cf9714ee6adcee6d9b9139261af82a315dcfda",
        "test": "a8a0eb419837e17fba48b708818979d3598e64350e7600f880676e39f5721857",
        "val": "37789e9e1c290137397b43be3e2530fc0262d2d7397dd8bf0318bef6fda79d24",
        "hop_ood": "89e7338ac0c2b3b4582a0db34d50b0bb063687620c39920ee21b9fce0cfcd6b8",
        "size_ood": "00b762862a11243eba7a1d1462565214d8533d17358ddf3586587e60f79a1736",
    },
    "mano 1": {
        "train": "5d61529a9830dc2a80309bff6413bddc60095e86ebb890d596228daa70910b4c",
        "test": "557d8359ab1c6a00f0a1ab2b3edfc6b211923916aac25e75d1a17f7bc9552b45",
        "val": "fbf394ee20ad2f2e6923536b9c0d89ac33a1667feee351074ec39966d7c93bc9",
    },
    "hop_k 1": {
        "train": "75988374195dea9e2a571d64368a6fc6ac1567fd9e800db3a3da002023c38ca8",
        "test": "ddb89ef6893d1799d8b2f9d517efd72312812ceb28ce7ee079877b50f10738ab",
        "val": "344de4963a3d44a7968e426f3da74519ba1e55a0c4b0aa355f7d47fc59accacd",
        "size_ood": "d97f472f88eb1f0a75126191fc2af780334d701a90ba165c864ea201a27b3806",
    },
    "mqar 1": {
        "train": "6cc2c99ca5e6155e4dcbc43a4e5a82193a7c860fa4084efcc332d81bb90b75b6",
        "test": "b7df86a2006529f95a2431e2eece2e51e644bb4aec28c74e784bc3872fa9db69",
        "val": "86641430b357061f7fdb86fc4d015bbd9ef02bd483262fe0b69638b3ff4e8c64",
        "size_ood": "863aedd8fda059b1644020039c9ee9bd31a06385c0c3212576901460a18f35e9",
    },
    "word_problem 1": {
        "train": "3c2afba50d08f4fa1f907c8ed4bbbff70478ed45fbe861f4d74fb25c3c70ebff",
        "test": "23b046db4669a2fedb71d975bdc6d219047209441b376726ed9d7ff74e482a0f",
        "val": "16fce0e40be58eb0efb00cf05bb3aa4c5a181c308a4ab1ddbaf7dc3e3326c6c4",
        "hop_ood": "01ddba2df72b29779ed033ce19b2fdf02aaad1b3fea0704c1c02f9d9a24bc329",
        "size_ood": "360f7cfdc347b7a08761cd44bbdcc8930b2506fd596dcf02b247c2a8036c58dc",
    },
    "k_hop_induction 2": {
        "train": "909f34d53db45319630f03352de03d543629c89dcf85285283166162092a90b4",
        "test": "9f2539c086840571c47523c41d9a6a27ae3dc7ffc68063b33fa5f9e01c0f78b7",
        "val": "8bfbcdb0c49727845baa2ead3a4c0a03103131a1f522b3cb76f0dfeeb47c6b11",
        "hop_ood": "32b5cc05448984aae7f5aa93738ef76129df5ecf43f13deb0a075125963a8d0e",
    },
    "path_query 2": {
        "train": "672eff7b7cbcdaabe0214a32d53addba00c5a012c9eaa2875bd539d0e8bfeda5",
        "test": "4ccac001ca1855251c8ad5cd2f34fd2cdee474ea7d7d349deacc39ed99f9e512",
        "val": "04ecca9ae1aeed7c7029a325a6548923d20fa01c491f3f1f048b333592d0f72c",
        "hop_ood": "7793cc9b29ac5270fbcb9a5b52c8c0157a95126caa35b6471255f4185c69a42f",
        "size_ood": "088dfb95a62c1e311f15b8759e33951a917af64364d0dd07974f900c4a20d2b3",
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
    "group_word 2": {
        "train": "f5a62a8839e8c3ce57980dd45720c7d8a52d8bb15e88238bce00f2084338ba7b",
        "test": "b5af731c810d4ddb8b6c26fc82d72cafc1c5b1f45fc7a32e1d9562b904b1a740",
        "val": "0c52a533251f2b066b4b18a784c3c673815e95164a941a35a3218500500c7e0b",
        "hop_ood": "05c8a8bd01c706cdb33351e7dc03645655f30948d59e5f64fcdb0743fb288e8f",
        "size_ood": "564f60cec79f87660eecd177827fd2ac28529785273f0e0ce3c78ab3a5c00ec7",
        "pattern_ood": "ac4798cb561a5d307a067f02da7bd70ab58bff217937c5889c8b4ed5f8deae04",
    },
    "kinship 2": {
        "train": "7d14d58c408b85e8159fb865de9db3a3dd428607329ccb2528671dbaaa7b7a69",
        "test": "9113d1bdf52cfc53c293bf2b76789cb3ef62326b03ee33d03ba3abcb56bf4cde",
        "val": "167084db4baec4cff9338f479ad0bd373b17a24154fba0d8e33ef5e3adb18ad8",
        "hop_ood": "6913ef4a00bef5110ed27992d48affffc4ea525c02162cd5fcff3054d52a9629",
        "size_ood": "04e9d8629cfc11d36fef41e493ee402c5cd7ea108cdaa3028cb199d6e3eca719",
        "pattern_ood": "f047802ea54ef449b1fee3adf8551872ac3f11e019180aa97981ecf38aebe37f",
    },
    "ordering 2": {
        "train": "aea851d93dcde2ca21f4e577dba41dfd59282d90656945af4d3962b0dd09e559",
        "test": "8f87d2fe72c18cc58bfebcd33b93e3fde34fa92d8cc74f77f0d2dcf70316ba49",
        "val": "8e6b45325db21b1327553ee7f514a28fdbf0e0be1fbf8f2319c02e32702f8cd6",
        "hop_ood": "af8259b673d2467fd8d34bf718cd51797f358b3c4dfc2dc0c05e2f4b9a043697",
        "size_ood": "16b3ca385c2e1be277b18c6234e749b567aaab22c5da500a5323aa63e9fb7ad3",
    },
    "rule_chain 2": {
        "train": "77428e7da781a5c89f361c977aaa00b1f77ac07bf55444f965679a864590f57c",
        "test": "bd25346b018e91893e151458a190285a62b470a6250e4bd419eaff576d60abb2",
        "val": "8d740a5ae4d8ac8b229316940e46531dd3734a3677b412cef533f68de9616680",
        "hop_ood": "fe91996910f61a30c3d812cb5af866e3bdfc5cf799f99d889844060cbf232a3e",
        "size_ood": "dd8627fafef9255e98775e7f3dc1e9de7173bc9c8f905ec65bbba7bc1abed40c",
    },
    "spatial 2": {
        "train": "6a65b1fa347b59ab712c86bee9dbfdec72b5b48bbd26d85eaaeab771e690174b",
        "test": "457a6ab2a5a5aea879970ee61f0b63364663e725f80a749168fbae93d32296d8",
        "val": "bbba3038efc0477eadeb5adada2b2cdfc5405791cc564e6173ac624f822b5507",
        "hop_ood": "f71d43066bb229d3c72f40e6b51948f3ad4d949a8add6dc508f70f1493050c84",
        "size_ood": "31dd4ecc4d1753153c9201fd00783ce518d7592e6a667142afb4edcd179422ce",
    },
    "variable_chain 1": {
        "train": "9a74a1e4d3843595300f685d26cc2728b0484835ee5c8c65309708d2b2c74607",
        "test": "8687f8f5e1ab74df257662717b6b595bc1db435c7e2283d7ca0414059ccd3893",
        "val": "879c9c53fd075de987be8c3b91b6d472340f816501cac54be8349437773f4b67",
        "hop_ood": "223adacf3c7c59748e49531f08d842a000a693a419221d04cc58ce05fd8722ed",
        "size_ood": "b4f292b8c19f991232338cf32e9731a5f022316c6ed1a00ea20ac6b03edef16c",
    },
}


def pinned(name: str) -> dict[str, str]:
    return digests(make_task({"task": name, "hops": [2, 3]} | OOD.get(name, {}), where="test"))


@pytest.mark.parametrize("name", OOD)
def test_bytes_are_the_golden_ones(name: str) -> None:
    assert pinned(name) == GOLDEN[f"{name} {GENERATORS.get(name).version}"]


def test_every_family_of_ours_is_pinned() -> None:
    ours = set(GENERATORS.own_names())
    assert {key.split()[0] for key in GOLDEN} == set(OOD) == ours, (
        "add a line to OOD, and what pinned(name) gives to GOLDEN"
    )
