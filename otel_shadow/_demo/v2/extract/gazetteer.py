"""First names that are common in Brazil and in English-speaking countries, folded.

They only decide where a name is written in lower case after words that introduce other things as well
("i'm free", "sou nova aqui", "minha filha ama ...").
"""

from __future__ import annotations

from otel_shadow._demo.language import words

FIRST_NAMES = words(
    """maria ana francisca antonia adriana juliana marcia fernanda patricia aline sandra camila amanda bruna jessica
    leticia julia luciana vanessa mariana gabriela vera vitoria larissa claudia beatriz luana rita sonia renata eliane
    josefa simone natalia cristiane carla debora rosangela jaqueline rosa daniela aparecida marlene terezinha raimunda
    andreia fabiana lucia raquel angela rafaela joana luzia elaine daniele alessandra tatiane michele paula isabel
    isabela isabella isadora alice laura sophia sofia helena valentina manuela heloisa luiza luisa lorena livia giovanna
    giovana yasmin sarah sara cecilia eloa emanuelly lara marina melissa nicole rebeca agatha clara melina catarina
    esther liz stella bianca carolina caroline priscila viviane monica silvia regina roberta eduarda ingrid kelly
    thais tais tatiana karina karen barbara celia ivone solange silvana lidia olivia pietra milena pamela flavia
    jose joao antonio francisco carlos paulo pedro lucas luiz luis marcos gabriel rafael daniel marcelo bruno eduardo
    felipe raimundo rodrigo manoel mateus matheus andre fernando fabio leonardo gustavo guilherme leandro tiago thiago
    anderson ricardo marcio jorge sebastiao alexandre roberto edson diego vitor victor sergio claudio geraldo adriano
    luciano julio renato alex vinicius samuel rogerio ronaldo mario flavio douglas igor davi manuel jeferson cicero
    valdir joaquim miguel arthur artur heitor theo bernardo enzo nicolas lorenzo benjamin caio henrique murilo otavio
    raul ryan augusto danilo caleb benicio bento joaozinho cesar ruan caua yuri erick emanuel noah ravi levi gael
    ze zeca chico beto duda bia gabi rafa nando leo
    james mary michael patricia robert jennifer john linda david elizabeth william barbara richard susan joseph
    jessica thomas karen christopher nancy charles margaret matthew anthony mark sandra donald ashley steven
    emily andrew kimberly paul donna joshua michelle kenneth carol kevin brian melissa timothy deborah ronald stephanie
    george rebecca jason sharon edward laura jeffrey cynthia ryan dorothy jacob amy nicholas kathleen gary angela eric
    shirley jonathan emma stephen brenda larry justin nicole scott brandon samantha benjamin katherine gregory
    christine alexander catherine patrick debra raymond rachel jack carolyn dennis janet jerry maria tyler
    aaron heather jose diane adam julie nathan olivia henry joyce zachary victoria douglas kelly peter christina kyle
    lauren noah joan ethan evelyn jeremy judith christian megan walter andrea keith cheryl austin hannah roger
    jacqueline terry martha sean madison gerald teresa carl gloria dylan sara harold janice jordan kathryn jesse ann
    bryan abigail lawrence sophia arthur frances gabriel jean bruce alice logan judy billy isabella joe julia
    willie grace amber albert denise danielle beverly wayne marilyn roy charlotte ralph natalie vincent theresa
    russell diana eugene brittany liam mason lucas ella mia ava chloe zoe lily ruby max oscar tom tim ben sam dan kate
    jane anna lucy leo kai owen hugo rose claire steve mike dave chris matt nick tony jim bob bill
    sally molly amelia harper evie freya isla poppy jake josh luke simon ian neil craig derek graham"""
)
